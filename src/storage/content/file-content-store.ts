import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { syncDirectory } from '#base/durable-record.ts';
import { EngineError, errorCode } from '#base/errors.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import { digestFromHex, digestHex, digestOf, type Digest } from '#oci/digest.ts';
import type { Blob, ContentStore, ExpectedBlob } from '../content-store.ts';
import type { Lease } from '../lease.ts';

/** Of one read of a stream. */
const READ_BYTES = 512 * 1024;
const HEX_64 = /^[0-9a-f]{64}$/;

function notFound(digest: Digest): EngineError {
  return new EngineError('notFound', `content digest ${digest}: not found`);
}

/** Blobs as files `blobs/sha256/<hex>`, written in `ingest/` and renamed when they are whole and flushed. */
export class FileContentStore implements ContentStore {
  readonly #blobs: string;
  readonly #ingest: string;
  /** By digest: a name that is being taken away is neither found nor given again meanwhile. */
  readonly #changing = new KeyedMutex();

  private constructor(root: string) {
    this.#blobs = join(root, 'blobs', 'sha256');
    this.#ingest = join(root, 'ingest');
  }

  /** Where what is not whole yet may lie: emptied at every start. */
  get temporary(): string {
    return this.#ingest;
  }

  /** Makes the directories and throws away what an earlier run had not finished. */
  static async open(root: string): Promise<FileContentStore> {
    const store = new FileContentStore(root);
    await rm(store.#ingest, { recursive: true, force: true });
    await mkdir(store.#blobs, { recursive: true, mode: 0o700 });
    await mkdir(store.#ingest, { recursive: true, mode: 0o700 });
    return store;
  }

  pathOf(digest: Digest): string {
    return join(this.#blobs, digestHex(digest));
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#changing.run(digest, () => this.#isThere(digest));
  }

  #isThere(digest: Digest): Promise<boolean> {
    return stat(this.pathOf(digest)).then(
      (found) => found.isFile(),
      () => false,
    );
  }

  async stat(digest: Digest): Promise<{ readonly sizeBytes: number }> {
    const found = await stat(this.pathOf(digest)).catch((error: unknown) => {
      throw errorCode(error) === 'ENOENT' ? notFound(digest) : error;
    });
    return { sizeBytes: found.size };
  }

  async readAll(digest: Digest, maxBytes: number): Promise<Buffer> {
    const { sizeBytes } = await this.stat(digest);
    if (sizeBytes > maxBytes)
      throw new EngineError('tooLarge', `content ${digest} is larger than ${maxBytes} bytes`);
    const bytes = await readFile(this.pathOf(digest));
    if (digestOf(bytes) !== digest) throw new EngineError('dataLoss', `content ${digest} is damaged`);
    return bytes;
  }

  openStream(digest: Digest, start = 0): Readable {
    return createReadStream(this.pathOf(digest), { start, highWaterMark: READ_BYTES });
  }

  async ingest(source: AsyncIterable<Uint8Array>, expected: ExpectedBlob = {}): Promise<Blob> {
    const temporary = join(this.#ingest, randomBytes(12).toString('hex'));
    const handle = await open(temporary, 'wx', 0o600);
    try {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      for await (const chunk of source) {
        sizeBytes += chunk.length;
        if (expected.sizeBytes !== undefined && sizeBytes > expected.sizeBytes) break;
        hash.update(chunk);
        for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
      }
      if (expected.sizeBytes !== undefined && sizeBytes !== expected.sizeBytes) {
        const more = sizeBytes > expected.sizeBytes ? 'more than' : `${sizeBytes} of`;
        throw new EngineError('invalidArgument', `unexpected size: ${more} ${expected.sizeBytes} bytes`);
      }
      const digest = digestFromHex(hash.digest('hex'));
      if (expected.digest !== undefined && digest !== expected.digest) {
        throw new EngineError(
          'invalidArgument',
          `unexpected digest: expected ${expected.digest}, got ${digest}`,
        );
      }
      expected.lease?.hold(digest);
      await handle.sync();
      await this.adopt(temporary, digest);
      return { digest, sizeBytes };
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
  }

  /** Gives a flushed file of the same file system its name. */
  async adopt(path: string, digest: Digest): Promise<void> {
    await this.#changing.run(digest, () => rename(path, this.pathOf(digest)));
  }

  async ingestFile(write: (path: string) => Promise<Blob>, lease?: Lease): Promise<Blob> {
    const temporary = join(this.#ingest, randomBytes(12).toString('hex'));
    try {
      const blob = await write(temporary);
      const handle = await open(temporary, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      lease?.hold(blob.digest);
      await this.adopt(temporary, blob.digest);
      return blob;
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async verify(digest: Digest): Promise<boolean> {
    const hash = createHash('sha256');
    try {
      for await (const chunk of this.openStream(digest)) hash.update(chunk as Buffer);
    } catch {
      return false;
    }
    return `sha256:${hash.digest('hex')}` === digest;
  }

  async remove(digest: Digest): Promise<void> {
    await this.#changing.run(digest, () => rm(this.pathOf(digest), { force: true }));
  }

  async digests(): Promise<readonly Digest[]> {
    return (await readdir(this.#blobs)).filter((name) => HEX_64.test(name)).map(digestFromHex);
  }

  async list(): Promise<readonly Blob[]> {
    const blobs: Blob[] = [];
    for (const digest of await this.digests()) {
      const found = await stat(this.pathOf(digest)).catch(() => null);
      if (found !== null) blobs.push({ digest, sizeBytes: found.size });
    }
    return blobs;
  }

  async sync(): Promise<void> {
    await syncDirectory(this.#blobs);
  }
}
