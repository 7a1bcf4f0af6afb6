import type { Readable } from 'node:stream';
import type { Digest } from '#oci/digest.ts';

/*
 * What the server end asks of whoever keeps the bytes. Contents have sha256 digests here, whatever the client
 * calls them. An open upload is named by a session id that the server made.
 */

/** Both ends included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What the bytes must turn out to be. sha512 is checked beside the content's own sha256. */
export interface ExpectedContent {
  readonly algorithm: 'sha256' | 'sha512';
  readonly hex: string;
}

export interface StoredContent {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface BlobUpload {
  readonly sizeBytes: number;
  /**
   * Adds to the end; what was added stays when the source fails. Returns the new size. Errors: `tooLarge`
   * beyond `LIMITS.registryBlobBytes`, which adds nothing of that chunk.
   */
  append(chunks: AsyncIterable<Uint8Array>): Promise<number>;
  /** Bytes that are there already; fewer at the end. */
  read(range: ByteRange): Promise<Buffer>;
  /** The sha256 of what is there: what it will be called. */
  digest(): Promise<Digest>;
  /**
   * Verifies and publishes; durable when it resolves. It may be done again. Afterwards nothing can be added,
   * and `cancel` removes just what the upload leaves. Errors: `invalidArgument` when it is something else.
   */
  commit(expected: ExpectedContent): Promise<StoredContent>;
  cancel(): Promise<void>;
}

export interface RegistryBlobs {
  has(digest: Digest): Promise<boolean>;
  /** Errors: `notFound`, `tooLarge`, `dataLoss`. */
  readAll(digest: Digest, maxBytes: number): Promise<Buffer>;
  /** The stream fails when the blob is gone. */
  open(digest: Digest, range?: ByteRange): Readable;
  begin(session: string): Promise<BlobUpload>;
  /** Goes on with an upload that an earlier run of the server left; null when there is none. */
  resume(session: string): Promise<BlobUpload | null>;
  /** Uploads that lie on the disk, with their last change. */
  uploads(): Promise<readonly { readonly session: string; readonly changedMs: number }[]>;
  remove(digest: Digest): Promise<void>;
  list(): Promise<readonly Digest[]>;
}
