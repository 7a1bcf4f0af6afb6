import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { errorCode } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Digest } from '#oci/digest.ts';
import type { BlobUpload, ByteRange, RegistryBlobs } from '#registry/storage-port.ts';
import type { ContentStore } from '#storage/content-store.ts';
import { FileUpload, type Publish } from './file-upload.ts';

const STREAM_BYTES = 256 * 1024;

/** Many who want the same flush at once get one: whoever comes while one runs shares the next. */
class SharedFlush {
  readonly #flush: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  run(): Promise<void> {
    if (this.#running === null) return (this.#running = this.#begin());
    const after = this.#running.catch(() => undefined);
    return (this.#next ??= after.then(() => {
      this.#next = null;
      return (this.#running = this.#begin());
    }));
  }

  #begin(): Promise<void> {
    const flushing = this.#flush().finally(() => {
      if (this.#running === flushing) this.#running = null;
    });
    return flushing;
  }
}

/** The registry's bytes: the engine's content store, and `uploads/<session>` for what is on its way there. */
export class FileBlobs implements RegistryBlobs {
  readonly #content: ContentStore;
  readonly #uploads: string;
  readonly #maxBytes: number;
  readonly #names: SharedFlush;

  private constructor(content: ContentStore, uploads: string, maxBytes: number) {
    this.#content = content;
    this.#uploads = uploads;
    this.#maxBytes = maxBytes;
    this.#names = new SharedFlush(() => content.sync());
  }

  static async open(
    content: ContentStore,
    uploads: string,
    maxBytes: number = LIMITS.registryBlobBytes,
  ): Promise<FileBlobs> {
    await mkdir(uploads, { recursive: true, mode: 0o700 });
    return new FileBlobs(content, uploads, maxBytes);
  }

  has(digest: Digest): Promise<boolean> {
    return this.#content.has(digest);
  }

  readAll(digest: Digest, maxBytes: number): Promise<Buffer> {
    return this.#content.readAll(digest, maxBytes);
  }

  open(digest: Digest, range?: ByteRange): Readable {
    return createReadStream(this.#content.pathOf(digest), { highWaterMark: STREAM_BYTES, ...range });
  }

  async begin(session: string): Promise<BlobUpload> {
    const path = join(this.#uploads, session);
    const file = await open(path, 'wx', 0o600);
    await file.close();
    return this.#upload(path, 0);
  }

  async resume(session: string): Promise<BlobUpload | null> {
    const path = join(this.#uploads, session);
    const found = await stat(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    });
    if (found === null) return null;
    if (found.nlink === 1) return this.#upload(path, found.size);
    // A second name: it was published, and what ended the server came before its removal.
    await rm(path, { force: true });
    return null;
  }

  async uploads(): Promise<readonly { readonly session: string; readonly changedMs: number }[]> {
    const found: { session: string; changedMs: number }[] = [];
    for (const session of await readdir(this.#uploads)) {
      const file = await stat(join(this.#uploads, session)).catch(() => null);
      if (file !== null) found.push({ session, changedMs: file.mtimeMs });
    }
    return found;
  }

  remove(digest: Digest): Promise<void> {
    return this.#content.remove(digest);
  }

  list(): Promise<readonly Digest[]> {
    return this.#content.digests();
  }

  #upload(path: string, sizeBytes: number): FileUpload {
    const publish: Publish = async (make) => {
      await this.#content.ingestFile(make);
      await this.#names.run();
    };
    return new FileUpload({ path, sizeBytes, maxBytes: this.#maxBytes }, publish);
  }
}
