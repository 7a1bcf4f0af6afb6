import { isKernelError } from '#host/kernel-error.ts';
import type { Files, FileStat } from '#host/kernel.ts';

/*
 * Several trees seen as one, the way overlayfs joins them: whiteouts hide what is below, opaque directories
 * end the look downwards. Read through descriptors of the trees themselves, so that no mount is needed, and
 * none that a container uses is disturbed. Nothing is followed but directories that were just looked at.
 */

/** A name in one of the trees. */
export interface StackEntry {
  /** One character per byte. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly stat: FileStat;
  /** The directory it was found in, of the tree that decides. */
  readonly directory: number;
  /** Which of the parts that is. */
  readonly part: number;
}

/** One directory: its descriptors in the trees that have it, top first. */
export type StackDirectory = readonly number[];

const OPAQUE = 'trusted.overlay.opaque';
/** Descriptors one walk may hold at once: many layers times a deep path would take all of the process's. */
const DESCRIPTORS = 8192;
const LINKS = 40;

/** What vanishes or changes its kind while it is read counts as not there. */
export function isGone(error: unknown): boolean {
  return isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ESTALE', 'ENXIO');
}

export function statOrNull(files: Files, directory: number, name: Buffer | string): FileStat | null {
  try {
    return files.stat(directory, name);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

export function isWhiteout(stat: FileStat): boolean {
  return stat.type === 'character' && stat.rdev.major === 0 && stat.rdev.minor === 0;
}

export function isOpaque(files: Files, directory: number): boolean {
  return files.getXattr(directory, '', OPAQUE)?.toString() === 'y';
}

export function byteText(bytes: Buffer): string {
  return bytes.toString('latin1');
}

export class TreeStack {
  readonly #files: Files;
  readonly #limit: number;
  #held = 0;

  constructor(files: Files, descriptors: number = DESCRIPTORS) {
    this.#files = files;
    this.#limit = descriptors;
  }

  /** Absolute paths of the trees, top first. */
  openRoots(paths: readonly string[]): StackDirectory {
    const fds: number[] = [];
    for (const path of paths) {
      const root = this.#files.openRoot(path);
      try {
        fds.push(this.#take(this.#files.open(root, '.', { directory: true })));
      } finally {
        this.#files.close(root);
      }
    }
    return fds;
  }

  close(directory: StackDirectory): void {
    for (const fd of directory) this.#files.close(fd);
    this.#held -= directory.length;
  }

  #take(fd: number): number {
    this.#held++;
    if (this.#held <= this.#limit) return fd;
    this.#files.close(fd);
    this.#held--;
    throw new Error(`directories nest too deeply: more than ${this.#limit} of the layers' would be open`);
  }

  /** Everything in a directory, in the order of the bytes of the names. */
  list(directory: StackDirectory): StackEntry[] {
    const found = new Map<string, StackEntry>();
    const hidden = new Set<string>();
    for (const [part, fd] of directory.entries()) {
      for (const bytes of this.names(fd)) {
        const name = byteText(bytes);
        if (found.has(name) || hidden.has(name)) continue;
        const stat = statOrNull(this.#files, fd, bytes);
        if (stat === null) continue;
        if (isWhiteout(stat)) hidden.add(name);
        else found.set(name, { name, bytes, stat, directory: fd, part });
      }
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Of one tree only, whiteouts included, in the order of their bytes. */
  names(fd: number): Buffer[] {
    const listing = this.#files.open(fd, '.', { directory: true });
    try {
      return this.#files
        .readDirectory(listing)
        .map((entry) => entry.bytes)
        .sort((a, b) => a.compare(b));
    } finally {
      this.#files.close(listing);
    }
  }

  find(directory: StackDirectory, bytes: Buffer): StackEntry | null {
    for (const [part, fd] of directory.entries()) {
      const stat = statOrNull(this.#files, fd, bytes);
      if (stat === null) continue;
      return isWhiteout(stat) ? null : { name: byteText(bytes), bytes, stat, directory: fd, part };
    }
    return null;
  }

  /** To be closed. Null when it is none any more. */
  openChild(directory: StackDirectory, entry: StackEntry): StackDirectory | null {
    const fds: number[] = [];
    try {
      for (const parent of directory.slice(entry.part)) {
        const fd = this.#openDirectory(parent, entry.bytes);
        if (fd === 'other') break;
        if (fd === 'missing') continue;
        fds.push(this.#take(fd));
        if (isOpaque(this.#files, fd)) break;
      }
    } catch (error) {
      this.close(fds);
      throw error;
    }
    return fds.length === 0 ? null : fds;
  }

  #openDirectory(parent: number, name: Buffer): number | 'missing' | 'other' {
    try {
      return this.#files.open(parent, name, { directory: true, noFollow: true });
    } catch (error) {
      if (isKernelError(error, 'ENOENT')) return 'missing';
      if (isGone(error)) return 'other';
      throw error;
    }
  }

  /**
   * Where a path of the joined tree really leads, links followed inside of it, as a byte string without a
   * slash at its start; what does not exist keeps its name.
   */
  resolve(root: StackDirectory, path: string): string {
    let links = 0;
    let waiting = path.split('/');
    let done: string[] = [];
    while (waiting.length > 0) {
      const [part = '', ...rest] = waiting;
      waiting = rest;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        done.pop();
        continue;
      }
      const target = links < LINKS ? this.#linkAt(root, [...done, part]) : null;
      if (target === null) done.push(part);
      else {
        links++;
        if (target.startsWith('/')) done = [];
        waiting = [...target.split('/'), ...waiting];
      }
    }
    return done.join('/');
  }

  #linkAt(root: StackDirectory, parts: readonly string[]): string | null {
    return this.at(root, parts.join('/'), (entry) => {
      if (entry.stat.type !== 'symlink') return null;
      return byteText(this.#files.readLink(entry.directory, entry.bytes));
    });
  }

  /** Looks at what a path names, no link followed; null when there is nothing. */
  at<T>(root: StackDirectory, path: string, look: (entry: StackEntry) => T): T | null {
    const opened: StackDirectory[] = [];
    const parts = path.split('/');
    const last = parts.pop() ?? '';
    let directory = root;
    try {
      for (const part of parts) {
        const entry = this.find(directory, Buffer.from(part, 'latin1'));
        const child = entry?.stat.type === 'directory' ? this.openChild(directory, entry) : null;
        if (child === null) return null;
        opened.push(child);
        directory = child;
      }
      const entry = this.find(directory, Buffer.from(last, 'latin1'));
      return entry === null ? null : look(entry);
    } finally {
      for (const each of opened) this.close(each);
    }
  }
}
