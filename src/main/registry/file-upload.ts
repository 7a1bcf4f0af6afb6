import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { EngineError, errorCode } from '#base/errors.ts';
import { digestFromHex, type Digest } from '#oci/digest.ts';
import type { BlobUpload, ByteRange, ExpectedContent, StoredContent } from '#registry/storage-port.ts';

const READ_BYTES = 1024 * 1024;
/** Pieces of a body are written together up to so many bytes. */
const GATHER_BYTES = 512 * 1024;

/** Publishes the file that `make` puts at the path it is given; durable when it resolves. */
export type Publish = (make: (path: string) => Promise<StoredContent>) => Promise<void>;

/**
 * An upload as a file of its own. It survives the server; what is in it is hashed as it comes, and read
 * again only when it was begun by an earlier run.
 */
export class FileUpload implements BlobUpload {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #publish: Publish;
  #hash: Hash | null;
  #sizeBytes: number;
  /** Its file may be a published blob by now: no byte of it changes any more. */
  #isSealed = false;

  constructor(file: { path: string; sizeBytes: number; maxBytes: number }, publish: Publish) {
    this.#path = file.path;
    this.#sizeBytes = file.sizeBytes;
    this.#maxBytes = file.maxBytes;
    this.#publish = publish;
    this.#hash = file.sizeBytes === 0 ? createHash('sha256') : null;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const file = await open(this.#path, 'r+');
    let gathered: Uint8Array[] = [];
    let gatheredBytes = 0;
    const flush = async (): Promise<void> => {
      const bytes = gathered.length === 1 ? gathered[0] : Buffer.concat(gathered);
      gathered = [];
      gatheredBytes = 0;
      for (let at = 0; bytes !== undefined && at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, this.#sizeBytes);
        this.#hash?.update(bytes.subarray(at, at + bytesWritten));
        at += bytesWritten;
        this.#sizeBytes += bytesWritten;
      }
    };
    try {
      for await (const chunk of chunks) {
        if (this.#isSealed) throw new EngineError('conflict', 'the upload is complete');
        if (this.#sizeBytes + gatheredBytes + chunk.length > this.#maxBytes)
          throw new EngineError('tooLarge', `blobs have at most ${this.#maxBytes} bytes`);
        gathered.push(chunk);
        gatheredBytes += chunk.length;
        if (gatheredBytes >= GATHER_BYTES) await flush();
      }
    } finally {
      try {
        await flush();
      } finally {
        await file.close();
      }
    }
    return this.#sizeBytes;
  }

  async read({ start, end }: ByteRange): Promise<Buffer> {
    const file = await open(this.#path, 'r');
    try {
      const wanted = Math.max(0, Math.min(end + 1, this.#sizeBytes) - start);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, start);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  async digest(): Promise<Digest> {
    this.#hash ??= await this.#rehash('sha256');
    return digestFromHex(this.#hash.copy().digest('hex'));
  }

  async commit(expected: ExpectedContent): Promise<StoredContent> {
    const digest = await this.digest();
    const found =
      expected.algorithm === 'sha256'
        ? digest
        : `${expected.algorithm}:${(await this.#rehash(expected.algorithm)).digest('hex')}`;
    const wanted = `${expected.algorithm}:${expected.hex}`;
    if (found !== wanted) throw new EngineError('invalidArgument', `expected ${wanted}, got ${found}`);
    const stored = { digest, sizeBytes: this.#sizeBytes };
    this.#isSealed = true;
    await this.#publish(async (path) => {
      await link(this.#path, path);
      return stored;
    });
    return stored;
  }

  async cancel(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  async #rehash(algorithm: 'sha256' | 'sha512'): Promise<Hash> {
    const hash = createHash(algorithm);
    try {
      for await (const chunk of createReadStream(this.#path, { highWaterMark: READ_BYTES })) {
        hash.update(chunk as Buffer);
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT')
        throw new EngineError('notFound', 'the upload is gone', { cause: error });
      throw error;
    }
    return hash;
  }
}
