import { isKernelError } from '#host/kernel-error.ts';
import type { Files } from '#host/kernel.ts';
import type { TreeSize } from './apply-job.ts';

/**
 * Deeper than any path can name. A container that nests further is counted down to here: each level takes a
 * descriptor.
 */
const LEVELS = 2048;

interface Count {
  readonly files: Files;
  readonly seen: Set<bigint>;
  sizeBytes: number;
  inodes: number;
}

/**
 * Sum of the sizes of files and symbolic links (the length of what they say), and number of inodes below a
 * directory; names of one inode count once. What a container removes meanwhile does not count.
 */
export function treeUsage(files: Files, root: number): TreeSize {
  const count: Count = { files, seen: new Set(), sizeBytes: 0, inodes: 0 };
  countDirectory(count, files.open(root, '.', { directory: true }), 1);
  return { sizeBytes: count.sizeBytes, inodes: count.inodes };
}

/** Closes the directory. */
function countDirectory(count: Count, directory: number, level: number): void {
  const { files } = count;
  try {
    for (const entry of files.readDirectory(directory)) {
      try {
        countEntry(count, { directory, level }, entry.bytes);
      } catch (error) {
        if (!isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
      }
    }
  } finally {
    files.close(directory);
  }
}

function countEntry(count: Count, at: { directory: number; level: number }, name: Buffer): void {
  const { files, seen } = count;
  const stat = files.stat(at.directory, name);
  if (stat.links > 1 && stat.type !== 'directory') {
    if (seen.has(stat.inode)) return;
    seen.add(stat.inode);
  }
  count.inodes++;
  if (stat.type !== 'directory') count.sizeBytes += stat.sizeBytes;
  if (stat.type !== 'directory' || at.level === LEVELS) return;
  countDirectory(count, files.open(at.directory, name, { directory: true, noFollow: true }), at.level + 1);
}
