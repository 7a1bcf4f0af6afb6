import { open, type FileHandle } from 'node:fs/promises';
import { EngineError } from '#base/errors.ts';
import type { Files } from '#host/kernel.ts';
import type { GrowingFile } from '../intake.ts';
import { ProgressWriter } from './shared-progress.ts';

/** Bytes go to the disk when the writer is so far ahead of them, so that the flush at the end finds few. */
const WRITE_BACK_BYTES = 8 * 1024 * 1024;

export interface PartialFileOptions {
  readonly path: string;
  /** Null: it is as long as its source. */
  readonly sizeBytes: number | null;
  readonly files: Pick<Files, 'startWriteBack' | 'writeAt'>;
}

/** A file that takes a blob as it arrives, and tells its readers how far it has come. */
export class PartialFile {
  readonly #options: PartialFileOptions;
  readonly #handle: FileHandle;
  readonly #progress = new ProgressWriter();
  #haveBytes: number;
  #writtenBack: number;
  #writingBack: Promise<void> = Promise.resolve();
  /** Settles with the last append, and never rejects. */
  #appending: Promise<unknown> = Promise.resolve();
  #isEnded = false;
  #closing: Promise<void> | null = null;

  private constructor(options: PartialFileOptions, handle: FileHandle, haveBytes: number) {
    this.#options = options;
    this.#handle = handle;
    this.#haveBytes = haveBytes;
    this.#writtenBack = haveBytes;
    this.#progress.grown(haveBytes);
  }

  /** Goes on with what the file holds already; more than the blob has cannot be of that blob. */
  static async open(options: PartialFileOptions): Promise<PartialFile> {
    // Not `a`: on Linux that ignores positions.
    const handle = await open(options.path, 'r+').catch(() => open(options.path, 'wx+', 0o600));
    try {
      let { size } = await handle.stat();
      if (options.sizeBytes !== null && size > options.sizeBytes) {
        await handle.truncate(0);
        size = 0;
      }
      return new PartialFile(options, handle, size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get file(): GrowingFile {
    return { path: this.#options.path, progress: this.#progress.shared };
  }

  get haveBytes(): number {
    return this.#haveBytes;
  }

  append(chunks: readonly Uint8Array[]): Promise<void> {
    const appended = this.#append(chunks);
    this.#appending = Promise.allSettled([this.#appending, appended]);
    return appended;
  }

  async #append(chunks: readonly Uint8Array[]): Promise<void> {
    const { sizeBytes } = this.#options;
    const more = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.#isEnded || this.#closing !== null) throw new EngineError('internal', 'the blob has ended');
    if (sizeBytes !== null && this.#haveBytes + more > sizeBytes)
      throw new EngineError('invalidArgument', `unexpected size: more than ${sizeBytes} bytes`);
    for (const chunk of chunks) await this.#write(chunk);
    this.#progress.grown(this.#haveBytes);
    this.#startWriteBack();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    const { files } = this.#options;
    for (let left = chunk; left.length > 0; ) {
      const written = await files.writeAt(this.#handle.fd, left, this.#haveBytes);
      this.#haveBytes += written;
      left = left.subarray(written);
    }
  }

  /** An optimisation: what it does not do, the flush does. */
  #startWriteBack(): void {
    const length = this.#haveBytes - this.#writtenBack;
    if (length < WRITE_BACK_BYTES) return;
    const range = { offset: this.#writtenBack, length };
    this.#writtenBack = this.#haveBytes;
    this.#writingBack = this.#writingBack.then(() =>
      this.#options.files.startWriteBack(this.#handle.fd, range).catch(() => undefined),
    );
  }

  async restart(): Promise<void> {
    this.#progress.restarted();
    this.#haveBytes = 0;
    this.#writtenBack = 0;
    await this.#handle.truncate(0);
  }

  end(): void {
    const { sizeBytes } = this.#options;
    if (sizeBytes !== null && this.#haveBytes !== sizeBytes) {
      throw new EngineError('invalidArgument', `unexpected size: ${this.#haveBytes} of ${sizeBytes} bytes`);
    }
    this.#isEnded = true;
    this.#progress.ended('whole');
  }

  fail(): void {
    this.#progress.ended('failed');
  }

  async flush(): Promise<void> {
    await this.#handle.datasync();
  }

  /** Idempotent. Waits for what is being written: its number would soon be another file's. */
  close(): Promise<void> {
    this.fail();
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#appending;
    await this.#writingBack;
    await this.#handle.close();
  }
}
