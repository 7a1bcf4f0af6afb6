import { read } from 'node:fs';
import { createHash, type Hash } from 'node:crypto';
import { promisify } from 'node:util';
import { basename, dirname } from 'node:path';
import type { Files } from '#host/kernel.ts';
import { EngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';
import type { ByteSource } from './byte-source.ts';
import { ProgressReader } from '../content/shared-progress.ts';

export interface StoredBytesOptions {
  readonly files: Files;
  readonly path: string;
  /** Where the file is still growing. */
  readonly progress: SharedArrayBuffer | null;
  readonly hashed: boolean;
  /** Asked between two pieces. */
  readonly signal: AbortSignal;
  readonly onRead: (readBytes: number) => void;
}

const PIECE_BYTES = 512 * 1024;
const readInto = promisify(read);

/**
 * The bytes of a blob's file, hashed as they are read, behind the one who writes them: it waits where the
 * file ends for now.
 */
export class StoredBytes implements ByteSource {
  readonly #options: StoredBytesOptions;
  readonly #fd: number;
  readonly #progress: ProgressReader | null;
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  readonly #hash: Hash | null;
  #position = 0;
  #closing: Promise<void> | null = null;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(options: StoredBytesOptions) {
    const { files, path, progress, hashed } = options;
    this.#options = options;
    this.#progress = progress === null ? null : new ProgressReader(progress);
    this.#hash = hashed ? createHash('sha256') : null;
    const directory = files.openRoot(dirname(path));
    try {
      this.#fd = files.open(directory, basename(path));
    } finally {
      files.close(directory);
    }
  }

  async next(): Promise<Buffer | null> {
    this.#options.signal.throwIfAborted();
    const most = (await this.#progress?.beyond(this.#position)) ?? PIECE_BYTES;
    if (most === 0) return null;
    const length = Math.min(most, PIECE_BYTES);
    const reading = readInto(this.#fd, this.#piece, 0, length, this.#position);
    this.#reading = reading.catch(() => undefined);
    const { bytesRead } = await reading;
    this.#progress?.check();
    if (bytesRead === 0) {
      if (this.#progress === null) return null;
      throw new EngineError('dataLoss', 'a blob on its way was cut off');
    }
    const piece = this.#piece.subarray(0, bytesRead);
    this.#position += bytesRead;
    this.#hash?.update(piece);
    this.#options.onRead(this.#position);
    return piece;
  }

  /** Waits until the file is all there. Errors: as those of `next`. */
  async whole(): Promise<void> {
    await this.#progress?.end();
  }

  /** Reads what is left: the digest is that of the whole file. */
  async drain(): Promise<void> {
    while ((await this.next()) !== null);
  }

  /** After the last `next`, and when nobody reads its piece: not while a decoder might. */
  release(): void {
    giveBack(this.#piece);
  }

  /** Of what was read; null when nobody asked for it. Once, at the end. */
  digest(): string | null {
    return this.#hash === null ? null : `sha256:${this.#hash.digest('hex')}`;
  }

  /** Idempotent; waits for a read that is under way. */
  close(): Promise<void> {
    return (this.#closing ??= this.#reading.then(() => this.#options.files.close(this.#fd)));
  }
}
