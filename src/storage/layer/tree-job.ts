import type { ErrorKind } from '#base/errors.ts';
import type { ContainerTrees } from '../snapshotter.ts';

/** What a tree thread is asked: plain data, it crosses threads. */
export type TreeJob =
  | { readonly kind: 'archive' | 'changes'; readonly trees: ContainerTrees }
  /** How an image's tree differs from another's; the trees top first. */
  | { readonly kind: 'compare'; readonly before: readonly string[]; readonly after: readonly string[] }
  /** What layers hold of each other's files; top first. */
  | { readonly kind: 'waste'; readonly layers: readonly string[] }
  | {
      readonly kind: 'layer';
      readonly trees: ContainerTrees;
      /** Paths of the container. */
      readonly excluded: readonly string[];
      /** The file that is written. */
      readonly path: string;
    };

export interface TreeJobMessage {
  readonly job: TreeJob;
  /**
   * Int32: [0] chunks the thread may send still, [1] 1 when nobody wants more. The thread waits on [0].
   */
  readonly flow: SharedArrayBuffer;
}

export interface TreeJobFailure {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly code?: string;
}

export type TreeJobReply =
  | { readonly chunk: Uint8Array }
  /** Of `layer`: what was written. */
  | { readonly done: { readonly digest: string; readonly sizeBytes: number } | null }
  | { readonly failure: TreeJobFailure };
