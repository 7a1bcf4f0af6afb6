import type { Digest } from '#oci/digest.ts';

/**
 * A file that one thread writes and others read as it grows.
 *
 * `progress` is shared by them (24 bytes): BigInt64[0] bytes that may be read · Int32[2] 0 growing, 1 ended,
 * 2 failed · Int32[3] generation: it rises when the bytes begin anew · Int32[4] rises with every change, so
 * that a reader can wait for one.
 */
export interface GrowingFile {
  readonly path: string;
  readonly progress: SharedArrayBuffer;
}

/** A blob on its way in. What an earlier run had got of it is there from the beginning, not yet verified. */
export interface Intake {
  readonly digest: Digest;
  /** What it will have when it is whole. */
  readonly sizeBytes: number;
  /** What it has now; the next byte that is wanted. */
  readonly haveBytes: number;
  readonly file: GrowingFile;
  /**
   * In order, one call at a time. Errors: `invalidArgument` for more bytes than the blob has, else the
   * kernel's (ENOSPC).
   */
  append(chunks: readonly Uint8Array[]): Promise<void>;
  /** The source begins again at 0. */
  restart(): Promise<void>;
  /** The source is through. Errors: `invalidArgument` when bytes are missing. */
  end(): void;
  /** No more bytes will come: whoever reads the file gets an error. Idempotent; nothing after `end`. */
  fail(): void;
  /**
   * Makes it a blob of the content store and closes it: flushed, its name durable after `content.sync`. Only
   * when somebody has verified the bytes: `Snapshotter.unpack` does, `verify` is for blobs that are no
   * layers. A lease must hold the digest by then, or a collection may take it away again.
   */
  publish(): Promise<void>;
  /** Reads it again, on another thread, after `end`. Errors: `invalidArgument` for another digest. */
  verify(): Promise<void>;
  /** Idempotent, and nothing after `publish`. `keep`: the next run goes on with what is there. */
  close(how: 'keep' | 'discard'): Promise<void>;
}

export interface PartialBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly changedMs: number;
}

/** Blobs that arrive in pieces, perhaps over several runs. */
export interface Intakes {
  /** Errors: `conflict` while the same blob is open. */
  open(want: { readonly digest: Digest; readonly sizeBytes: number }): Promise<Intake>;
  /** For a blob whose digest or size nobody knows yet. Nothing of it outlives the run. */
  openUnknown(): Promise<UnknownIntake>;
  partials(): Promise<readonly PartialBlob[]>;
  /**
   * Removes partial blobs that are not open: all whose digest is not in `keep`, those older than
   * `LIMITS.partialKeepMs`, and the oldest above `LIMITS.partialKeepBytes`.
   */
  expire(keep: ReadonlySet<string>, nowMs: number): Promise<void>;
}

/** As an intake, but its end is where its source ends, and its digest is found out afterwards. */
export interface UnknownIntake extends Omit<Intake, 'digest' | 'sizeBytes' | 'publish' | 'verify' | 'close'> {
  /** Reads it again, on another thread, after `end`. */
  digest(): Promise<Digest>;
  /** As `publish`; the digest comes from `digest` or from `Snapshotter.unpack`. */
  publishAs(digest: Digest): Promise<void>;
  /** Idempotent, and nothing after `publishAs`. */
  close(): Promise<void>;
}
