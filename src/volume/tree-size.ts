import { isKernelError } from '#host/kernel-error.ts';
import type { Files } from '#host/kernel.ts';

/**
 * Bytes of the files below a directory, a file with several names once. Containers write there meanwhile:
 * every step is taken on a descriptor of the directory before, and no link is followed.
 */
export async function treeSize(files: Pick<Files, 'slow' | 'openRoot'>, path: string): Promise<number> {
  const root = files.openRoot(path);
  try {
    return await directorySize({ files, seen: new Set(), level: 1 }, root, '.');
  } finally {
    await files.slow.close(root);
  }
}

/** Deeper than any path can name; each level takes a descriptor. */
const LEVELS = 2048;

interface Count {
  readonly files: Pick<Files, 'slow'>;
  readonly seen: Set<bigint>;
  readonly level: number;
}

async function directorySize(count: Count, parent: number, name: Buffer | '.'): Promise<number> {
  const { slow } = count.files;
  const directory = await slow.open(parent, name, { directory: true, noFollow: true });
  try {
    let bytes = 0;
    for (const entry of await slow.readDirectory(directory)) {
      bytes += await entrySize(count, directory, entry.bytes).catch(goneMeanwhile);
    }
    return bytes;
  } finally {
    await slow.close(directory);
  }
}

async function entrySize(count: Count, directory: number, name: Buffer): Promise<number> {
  const stat = await count.files.slow.stat(directory, name);
  if (stat.type === 'directory') {
    if (count.level === LEVELS) return 0;
    return await directorySize({ ...count, level: count.level + 1 }, directory, name);
  }
  if (stat.type !== 'file' || (stat.links > 1 && count.seen.has(stat.inode))) return 0;
  if (stat.links > 1) count.seen.add(stat.inode);
  return stat.sizeBytes;
}

function goneMeanwhile(error: unknown): number {
  if (isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return 0;
  throw error;
}
