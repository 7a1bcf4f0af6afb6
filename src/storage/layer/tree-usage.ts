import type { Files } from '#host/kernel.ts';
import type { LayerJobResult } from './apply-job.ts';

/** Sum of file sizes and number of inodes below a directory; names of one inode count once. */
export function treeUsage(files: Files, root: number): LayerJobResult {
  const seen = new Set<bigint>();
  let sizeBytes = 0;
  let inodes = 0;
  const walk = (directory: number): void => {
    const listing = files.open(directory, '.', { directory: true });
    try {
      for (const entry of files.readDirectory(listing)) {
        const stat = files.stat(listing, entry.bytes);
        if (stat.links > 1 && stat.type !== 'directory') {
          if (seen.has(stat.inode)) continue;
          seen.add(stat.inode);
        }
        inodes++;
        if (stat.type === 'file') sizeBytes += stat.sizeBytes;
        if (stat.type !== 'directory') continue;
        const child = files.open(listing, entry.bytes, { access: 'path', directory: true, noFollow: true });
        try {
          walk(child);
        } finally {
          files.close(child);
        }
      }
    } finally {
      files.close(listing);
    }
  };
  walk(root);
  return { sizeBytes, inodes };
}
