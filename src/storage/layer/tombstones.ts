import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorCode, errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Files } from '#host/kernel.ts';

/**
 * Removes trees in two steps: a rename out of sight, then the files one by one in the background. A crash in
 * between leaves a tombstone that the next start finishes.
 */
export class Tombstones {
  readonly #directory: string;
  readonly #files: Files;
  readonly #log: Log;
  readonly #running = new Set<Promise<void>>();

  private constructor(directory: string, files: Files, log: Log) {
    this.#directory = directory;
    this.#files = files;
    this.#log = log;
  }

  static async open(directory: string, files: Files, log: Log): Promise<Tombstones> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const tombstones = new Tombstones(directory, files, log);
    for (const name of await readdir(directory)) tombstones.#sweep(name);
    return tombstones;
  }

  /** Idempotent; resolves when the path is free again. */
  async bury(path: string): Promise<void> {
    const name = `${basename(path)}.${randomBytes(4).toString('hex')}`;
    try {
      await rename(path, join(this.#directory, name));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw error;
    }
    this.#sweep(name);
  }

  #sweep(name: string): void {
    const work = this.#removeTree(name).catch((error: unknown) => {
      this.#log.warn('a removed tree could not be deleted', { name, error: errorMessage(error) });
    });
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  async #removeTree(name: string): Promise<void> {
    const root = this.#files.openRoot(this.#directory);
    try {
      await this.#files.slow.removeTree(root, name);
    } finally {
      this.#files.close(root);
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
