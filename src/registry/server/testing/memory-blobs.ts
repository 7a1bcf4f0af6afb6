import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { EngineError } from '#base/errors.ts';
import { digestOf, type Digest } from '#oci/digest.ts';
import type {
  BlobUpload,
  ByteRange,
  ExpectedContent,
  RegistryBlobs,
  StoredContent,
} from '../../storage-port.ts';

interface Pending {
  bytes: Buffer;
  changedMs: number;
}

/** The storage port without a disk, for tests of the server. */
export class MemoryBlobs implements RegistryBlobs {
  readonly #blobs = new Map<Digest, Buffer>();
  readonly #uploads = new Map<string, Pending>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get openUploads(): number {
    return this.#uploads.size;
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#blobs.has(digest);
  }

  async readAll(digest: Digest): Promise<Buffer> {
    const bytes = this.#blobs.get(digest);
    if (bytes === undefined) throw new EngineError('notFound', digest);
    return bytes;
  }

  open(digest: Digest, range?: ByteRange): Readable {
    const bytes = this.#blobs.get(digest) ?? Buffer.alloc(0);
    return Readable.from([range === undefined ? bytes : bytes.subarray(range.start, range.end + 1)]);
  }

  async begin(session: string): Promise<BlobUpload> {
    const pending = { bytes: Buffer.alloc(0), changedMs: this.#nowMs() };
    this.#uploads.set(session, pending);
    return this.#upload(session, pending);
  }

  async resume(session: string): Promise<BlobUpload | null> {
    const pending = this.#uploads.get(session);
    return pending === undefined ? null : this.#upload(session, pending);
  }

  async uploads(): Promise<{ session: string; changedMs: number }[]> {
    return [...this.#uploads].map(([session, { changedMs }]) => ({ session, changedMs }));
  }

  async remove(digest: Digest): Promise<void> {
    this.#blobs.delete(digest);
  }

  async list(): Promise<readonly Digest[]> {
    return [...this.#blobs.keys()];
  }

  #upload(session: string, pending: Pending): BlobUpload {
    return {
      get sizeBytes() {
        return pending.bytes.length;
      },
      append: async (chunks) => {
        for await (const chunk of chunks) pending.bytes = Buffer.concat([pending.bytes, chunk]);
        pending.changedMs = this.#nowMs();
        return pending.bytes.length;
      },
      read: async ({ start, end }) => pending.bytes.subarray(start, end + 1),
      digest: async () => digestOf(pending.bytes),
      commit: (expected) => this.#commit(pending, expected),
      cancel: async () => void this.#uploads.delete(session),
    };
  }

  async #commit({ bytes }: Pending, { algorithm, hex }: ExpectedContent): Promise<StoredContent> {
    if (createHash(algorithm).update(bytes).digest('hex') !== hex)
      throw new EngineError('invalidArgument', 'other bytes');
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { digest, sizeBytes: bytes.length };
  }
}
