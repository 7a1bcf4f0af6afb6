import type { FilePath, Files } from '#host/kernel.ts';

const CAPACITY = 128;
const NONE = { path: '', fd: -1 };
// Everything outside printable ASCII goes to the kernel as the very bytes of the archive.
const PLAIN_NAME = /^[\x20-\x7e]*$/;

/** The kernel's form of a byte string (one character per byte). */
export function kernelPath(path: string): FilePath {
  return PLAIN_NAME.test(path) ? path : Buffer.from(path, 'latin1');
}

/**
 * Open descriptors of directories of one tree, by path, least recently used first out: archives list a
 * directory's files in a row, and a file in an open directory costs no path look-up. Paths are normal: no
 * leading slash, no `.` or `..`.
 */
export class DirectoryCache {
  readonly #files: Files;
  readonly #root: number;
  readonly #open = new Map<string, number>();
  /** The newest of them: most entries are in the same directory as the one before. */
  #last: { readonly path: string; readonly fd: number } = NONE;

  constructor(files: Files, root: number) {
    this.#files = files;
    this.#root = root;
  }

  /** Errors: the kernel's ENOENT, ENOTDIR. Symbolic links on the way are followed inside the root. */
  get(path: string): number {
    const known = this.known(path);
    if (known !== undefined) return known;
    const fd = this.#files.open(this.#root, kernelPath(path), { access: 'path', directory: true });
    if (this.#open.size >= CAPACITY) this.#dropOldest();
    this.#open.set(path, fd);
    this.#last = { path, fd };
    return fd;
  }

  /** When it is open already: closes nothing, opens nothing. */
  known(path: string): number | undefined {
    if (path === '') return this.#root;
    if (path === this.#last.path) return this.#last.fd;
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, known);
      this.#last = { path, fd: known };
    }
    return known;
  }

  #dropOldest(): void {
    for (const [path, fd] of this.#open) {
      this.#open.delete(path);
      this.#files.close(fd);
      return;
    }
  }

  /** To be called whenever a name in the tree came to mean something else. */
  clear(): void {
    for (const fd of this.#open.values()) this.#files.close(fd);
    this.#open.clear();
    this.#last = NONE;
  }
}
