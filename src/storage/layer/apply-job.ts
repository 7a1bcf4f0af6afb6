import type { ErrorKind } from '#base/errors.ts';
import type { WhiteoutMode } from './apply-layer.ts';

/** Unpacks an archive, also while it is still arriving, and finds out or verifies its digests. */
export interface UnpackJob {
  readonly kind: 'unpack';
  /** The archive's file, and how far it has come where it is still growing (`GrowingFile.progress`). */
  readonly path: string;
  readonly progress: SharedArrayBuffer | null;
  /** Of the stored bytes: verified; `ask`: found out; `trust`: somebody has verified them. */
  readonly blobDigest: { readonly expected: string } | 'ask' | 'trust';
  /** Of the plain bytes; null: found out. */
  readonly diffId: string | null;
  /**
   * An existing, empty directory (`merge`: with the tree of the layers below). Null: the archive is read and
   * nothing is written.
   */
  readonly target: string | null;
  readonly whiteouts: WhiteoutMode;
}

export interface UnpackResult {
  readonly sizeBytes: number;
  readonly inodes: number;
  readonly diffId: string;
  /** Null for `trust`. */
  readonly blobDigest: string | null;
  /** Directories that the archive implies and does not list, as byte strings: `settle` gives them owners. */
  readonly implied: readonly string[];
  /** The archive lists the root itself. */
  readonly sawRoot: boolean;
}

/** Gives an unpacked tree what it takes from the layers below. */
export interface SettleJob {
  readonly kind: 'settle';
  readonly target: string;
  /** Directories of the layers below, top first, at least one. */
  readonly lowers: readonly string[];
  readonly implied: readonly string[];
  /** The root looks like the one below. */
  readonly root: boolean;
}

/** Compresses an archive with gzip into a new file. */
export interface CompressJob {
  readonly kind: 'compress';
  readonly path: string;
  readonly target: string;
}

/** Writes the plain bytes of an archive, however it is compressed, into a new file. */
export interface DecompressJob {
  readonly kind: 'decompress';
  readonly path: string;
  readonly target: string;
  /** What becomes larger is given up. */
  readonly maxBytes: number;
}

/** What was written. */
export interface CompressResult {
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface TreeSize {
  readonly sizeBytes: number;
  readonly inodes: number;
}

/** What a worker thread is asked: plain data, it crosses threads. */
export type LayerJob =
  | UnpackJob
  | SettleJob
  | CompressJob
  | DecompressJob
  | { readonly kind: 'copy'; readonly source: string; readonly target: string }
  | { readonly kind: 'usage'; readonly source: string }
  | { readonly kind: 'digest'; readonly path: string };

/** What each kind answers. */
export interface LayerJobResults {
  readonly unpack: UnpackResult;
  readonly settle: null;
  readonly compress: CompressResult;
  readonly decompress: null;
  readonly copy: TreeSize;
  readonly usage: TreeSize;
  readonly digest: string;
}

export type ResultOf<J extends LayerJob> = LayerJobResults[J['kind']];

export interface LayerJobFailure {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint?: string;
  /** errno name, when the kernel refused; or what the engine's own errors carry. */
  readonly code?: string;
}

export type LayerJobReply = { readonly id: number } & (
  | { readonly result: LayerJobResults[LayerJob['kind']] }
  | { readonly failure: LayerJobFailure }
  | { readonly readBytes: number }
  /** It wants to look back so far, instead of what it wanted before; 0: no more. */
  | { readonly window: number }
);

export type LayerJobMessage =
  | { readonly id: number; readonly job: LayerJob }
  | { readonly id: number; readonly cancel: true }
  /** It has the window that it asked for. */
  | { readonly id: number; readonly window: true };
