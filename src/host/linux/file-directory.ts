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

/**
 * Depth first on descriptors, with a batch of calls per directory. A directory is opened without following
 * links, so that a name swapped for a link meanwhile is unlinked, never entered.
 */
export function* removeTree(root: number, path: FilePath): Operation<void> {
  try {
    yield* withParent(root, path, (directory, name) => removeEntry(directory, name));
  } catch (error) {
    if (!isKernelError(error, 'ENOENT')) throw error;
  }
}

function* removeEntry(directory: number, name: string | Buffer): Operation<void> {
  const unlinked = yield* bare('unlinkat', directory, name, 0);
  if (unlinked >= 0 || unlinked === -errnoNumber('ENOENT')) return;
  if (unlinked !== -errnoNumber('EISDIR') && unlinked !== -errnoNumber('EPERM'))
    check(unlinked, 'unlinkat', pathText(name));
  const bytes = typeof name === 'string' ? name : name.subarray(0, -1);
  const fd = yield* openInside(directory, bytes, { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW });
  try {
    yield* removeContents(fd);
  } finally {
    yield [['close', fd]];
  }
  const removed = yield* bare('unlinkat', directory, name, AT.REMOVEDIR);
  if (removed !== -errnoNumber('ENOENT')) check(removed, 'unlinkat', pathText(name));
}

function* removeContents(directory: number): Operation<void> {
  const entries = yield* readDirectory(directory);
  for (let at = 0; at < entries.length; at += BATCH) {
    const names = entries.slice(at, at + BATCH).map((entry) => pathArgument(entry.bytes));
    const results = yield names.map((name): Call => ['unlinkat', directory, name, 0]);
    for (const [index, result] of results.entries()) {
      const name = names[index];
      if (result < 0 && result !== -errnoNumber('ENOENT') && name !== undefined)
        yield* removeEntry(directory, name);
    }
  }
}
