import type { DirectoryEntry, FilePath } from '../kernel.ts';
import { errnoNumber } from './errno.ts';
import { AT, O, openInside, pathArgument, pathText, withParent } from './file-paths.ts';
import { fileType } from './file-stat.ts';
import { isKernelError } from '../kernel-error.ts';
import { type Call, bare, check, type Operation, one } from './sys.ts';

const ENTRIES_BYTES = 64 * 1024;
/** Names removed in one go on a thread. */
const BATCH = 1024;

export function* readDirectory(directory: number): Operation<readonly DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  const buffer = Buffer.alloc(ENTRIES_BYTES);
  for (;;) {
    const length = yield* one(undefined, 'getdents64', directory, buffer, buffer.length);
    if (length === 0) return entries;
    parseEntries(buffer.subarray(0, length), entries);
  }
}

/** `struct linux_dirent64`: inode 8, offset 8, record length 2, type 1, name. */
function parseEntries(buffer: Buffer, entries: DirectoryEntry[]): void {
  for (let at = 0; at < buffer.length; at += buffer.readUInt16LE(at + 16)) {
    const end = buffer.indexOf(0, at + 19);
    const bytes = Buffer.from(buffer.subarray(at + 19, end));
    const name = bytes.toString();
    if (name === '.' || name === '..') continue;
    entries.push({ name, bytes, type: fileType(buffer.readUInt8(at + 18) << 12) });
  }
}

/** Levels of a tree that are open at once: a container may nest directories deeper than descriptors go. */
const OPEN_LEVELS = 32;
const RENAME_NOREPLACE = 1;

/**
 * Depth first on descriptors, with a batch of calls per directory. A directory is opened without following
 * links, so that a name swapped for a link meanwhile is unlinked, never entered. What lies too deep is moved
 * up first, so that neither descriptors nor the stack grow with the tree.
 */
export function* removeTree(root: number, path: FilePath): Operation<void> {
  try {
    yield* withParent(root, path, (directory, name) => removeEntry(directory, name, null));
  } catch (error) {
    if (!isKernelError(error, 'ENOENT')) throw error;
  }
}

/** Where a removal stands below the tree's top. */
interface Descent {
  readonly top: number;
  readonly level: number;
  /** Directories moved into the top so far. */
  readonly moved: { count: number };
}

function* removeEntry(directory: number, name: string | Buffer, from: Descent | null): Operation<void> {
  const unlinked = yield* bare('unlinkat', directory, name, 0);
  if (unlinked >= 0 || unlinked === -errnoNumber('ENOENT')) return;
  if (unlinked !== -errnoNumber('EISDIR') && unlinked !== -errnoNumber('EPERM'))
    check(unlinked, 'unlinkat', pathText(name));
  if (from !== null && from.level >= OPEN_LEVELS && (yield* moveUp(directory, name, from))) return;
  const bytes = typeof name === 'string' ? name : name.subarray(0, -1);
  const fd = yield* openInside(directory, bytes, { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW });
  try {
    if (from === null) yield* removeTop(fd);
    else yield* removeContents(fd, { ...from, level: from.level + 1 });
  } finally {
    yield [['close', fd]];
  }
  const removed = yield* bare('unlinkat', directory, name, AT.REMOVEDIR);
  if (removed !== -errnoNumber('ENOENT')) check(removed, 'unlinkat', pathText(name));
}

function* removeTop(top: number): Operation<void> {
  const moved = { count: 0 };
  for (let before = -1; before !== moved.count; ) {
    before = moved.count;
    yield* one(undefined, 'lseek', top, 0, 0);
    yield* removeContents(top, { top, level: 1, moved });
  }
}

/** False when nothing can be moved there: another file system begins here. */
function* moveUp(directory: number, name: string | Buffer, { top, moved }: Descent): Operation<boolean> {
  for (;;) {
    const target = `.removed-${moved.count}`;
    moved.count += 1;
    const result = yield* bare('renameat2', directory, name, top, target, RENAME_NOREPLACE);
    if (result >= 0 || result === -errnoNumber('ENOENT')) return true;
    if (result !== -errnoNumber('EEXIST')) return false;
  }
}

function* removeContents(directory: number, descent: Descent): Operation<void> {
  const entries = yield* readDirectory(directory);
  for (let at = 0; at < entries.length; at += BATCH) {
    const names = entries.slice(at, at + BATCH).map((entry) => pathArgument(entry.bytes));
    const results = yield names.map((name): Call => ['unlinkat', directory, name, 0]);
    for (const [index, result] of results.entries()) {
      const name = names[index];
      if (result < 0 && result !== -errnoNumber('ENOENT') && name !== undefined)
        yield* removeEntry(directory, name, descent);
    }
  }
}
