import type { Readable } from 'node:stream';
import type { Digest } from '#oci/digest.ts';
import type { Lease } from './lease.ts';

export interface Blob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** What a blob must turn out to be; anything else is refused and leaves nothing. */
export interface ExpectedBlob {
  /** Holds the blob from before it has its name, so that no collection comes in between. */
  readonly lease?: Lease;
  readonly digest?: Digest;
  readonly sizeBytes?: number;
}

/**
 * Blobs by digest. A blob that `has` says is there was verified and flushed when it was written; its name is
 * durable after `sync`, once per batch.
 */
export interface ContentStore {
  has(digest: Digest): Promise<boolean>;
  /** Errors: `notFound`. */
  stat(digest: Digest): Promise<{ readonly sizeBytes: number }>;
  /** Errors: `notFound`, `tooLarge`, `dataLoss` when the bytes no longer have that digest. */
  readAll(digest: Digest, maxBytes: number): Promise<Buffer>;
  /** From byte `start` on. */
  openStream(digest: Digest, start?: number): Readable;
  /** Absolute path of the blob's file, for readers in other threads. */
  pathOf(digest: Digest): string;
  /**
   * Stores a stream. Errors: `invalidArgument` when it is not what was expected. Replaces a blob of the same
   * digest.
   */
  ingest(source: AsyncIterable<Uint8Array>, expected?: ExpectedBlob): Promise<Blob>;
  /**
   * Takes a file that somebody wrote, on another thread as a rule, at the path it is given: a new one, which
   * it makes. Flushed here. What `write` says about it is believed; what it leaves when it fails goes.
   */
  ingestFile(write: (path: string) => Promise<Blob>, lease?: Lease): Promise<Blob>;
  /** Reads a blob again; false when it is missing or damaged. */
  verify(digest: Digest): Promise<boolean>;
  /** From now on nobody finds it; what comes under the same digest meanwhile stays. */
  remove(digest: Digest): Promise<void>;
  /** Without a look at the files. */
  digests(): Promise<readonly Digest[]>;
  list(): Promise<readonly Blob[]>;
  /** Makes the names of all blobs durable. One flush. */
  sync(): Promise<void>;
}
