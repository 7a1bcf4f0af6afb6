import { BATCHED_CONTENT_BYTES, type EntryBatch, type EntryKind } from '#host/entry-batch.ts';
import { nameOf } from './layer-path.ts';
import type { TarEntry } from './tar-header.ts';

const MOST_ENTRIES = 512;

/** An entry that waits, or was refused. */
export interface PendingEntry {
  readonly kind: EntryKind;
  /** Normal. */
  readonly path: string;
  readonly entry: TarEntry;
  /** Where its content begins. */
  readonly contentStart: number;
}

/** What kind of batched entry it is made as; null when it has to be made on its own. */
export function batchKind(entry: TarEntry): EntryKind | null {
  switch (entry.type) {
    case 'directory':
      return 'directory';
    case 'file':
      return entry.xattrs === null && entry.sizeBytes <= BATCHED_CONTENT_BYTES ? 'file' : null;
    case 'symlink':
      return entry.xattrs === null && !entry.linkPath.includes('\0') ? 'symlink' : null;
    case 'block':
    case 'character':
    case 'fifo':
    case 'hardlink':
      return null;
  }
}

/**
 * Entries that wait to be made with one call, in their order. Whatever else is done to the tree, or to the
 * descriptors of its directories, comes after `flush`.
 */
export class PendingEntries {
  readonly #batch: EntryBatch;
  readonly #replay: (entry: PendingEntry) => void;
  #waiting: PendingEntry[] = [];

  /** `replay` makes one on its own: the first that the kernel refused in a batch, and those after it. */
  constructor(batch: EntryBatch, replay: (entry: PendingEntry) => void) {
    this.#batch = batch;
    this.#replay = replay;
  }

  /** For one more. To be asked before its directory is looked up: it may make those that wait. */
  makeRoom(path: string, { sizeBytes, linkPath }: TarEntry): void {
    const isFull = this.#waiting.length >= MOST_ENTRIES;
    if (isFull || !this.#batch.hasRoom(nameOf(path).length, sizeBytes + linkPath.length + 1)) this.flush();
  }

  /** Part of the content of the file that is added next. */
  write(chunk: Buffer): void {
    this.#batch.write(chunk);
  }

  add(of: Omit<PendingEntry, 'contentStart'> & { readonly directory: number }): void {
    const { kind, path, entry, directory } = of;
    if (kind === 'symlink') this.#batch.writeTarget(entry.linkPath);
    const { mode, uid, gid, mtime } = entry;
    const contentStart = this.#batch.add({ kind, directory, name: nameOf(path), mode, uid, gid, mtime });
    this.#waiting.push({ kind, path, entry, contentStart });
  }

  /** Of a file that is made on its own. */
  contentOf({ entry, contentStart }: PendingEntry): Buffer {
    return this.#batch.contentAt(contentStart, entry.sizeBytes);
  }

  /** After the last of all. */
  release(): void {
    this.#batch.release();
  }

  flush(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting.slice(this.#batch.run())) this.#replay(entry);
  }
}
