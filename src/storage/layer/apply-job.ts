import type { WhiteoutMode } from './apply-layer.ts';
import type { ErrorKind } from '#base/errors.ts';

/** What a worker thread is asked: plain data, it crosses threads. */
export type LayerJob =
  | {
      readonly kind: 'apply';
      readonly blobPath: string;
      /** An existing, empty directory (`merge`: with the tree of the layers below). */
      readonly target: string;
      readonly diffId: string;
      readonly whiteouts: WhiteoutMode;
      /** Directories of the layers below, top first. */
      readonly lowers: readonly string[];
    }
  | { readonly kind: 'copy'; readonly source: string; readonly target: string }
  | { readonly kind: 'usage'; readonly source: string };

export interface LayerJobResult {
  readonly sizeBytes: number;
  readonly inodes: number;
}

export interface LayerJobFailure {
  readonly kind: ErrorKind;
  readonly message: string;
  /** errno name, when the kernel refused. */
  readonly code?: string;
}

export type LayerJobReply = { readonly id: number } & (
  | { readonly result: LayerJobResult }
  | { readonly failure: LayerJobFailure }
);

export interface LayerJobMessage {
  readonly id: number;
  readonly job: LayerJob;
}
