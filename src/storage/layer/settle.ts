import { isKernelError } from '#host/kernel-error.ts';
import type { Files, FileStat } from '#host/kernel.ts';
import { kernelPath } from './directory-cache.ts';

export interface SettledTree {
  /** Descriptor of the unpacked tree. */
  readonly target: number;
  /** Of the trees below, top first, at least one. */
  readonly lowers: readonly number[];
  /** Directories that the archive implies, as byte strings. */
  readonly implied: readonly string[];
  readonly root: boolean;
}

/**
 * Gives directories that an archive implies, and a root that it does not list, the owner and mode they have
 * below: what a layer takes from the others, and what could not be known when it was unpacked.
 */
export function settleTree(files: Files, tree: SettledTree): void {
  if (tree.root) {
    const like = files.stat(tree.lowers[0] as number, '');
    files.chown(tree.target, '', like);
    files.chmod(tree.target, '', like.mode);
  }
  for (const path of tree.implied) {
    const like = directoryBelow(files, tree.lowers, path);
    if (like !== null) settleOne(files, { root: tree.target, path, like });
  }
}

/** What the topmost layer that has the name has there, if that is a directory. */
function directoryBelow(files: Files, lowers: readonly number[], path: string): FileStat | null {
  for (const root of lowers) {
    try {
      const stat = files.stat(root, kernelPath(path));
      return stat.type === 'directory' ? stat : null;
    } catch (error) {
      if (!isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    }
  }
  return null;
}

function settleOne(
  files: Files,
  { root, path, like }: { readonly root: number; readonly path: string; readonly like: FileStat },
): void {
  let directory: number;
  try {
    directory = files.open(root, kernelPath(path), { directory: true, noSymlinks: true });
  } catch (error) {
    // A later entry of the archive took its place.
    if (isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return;
    throw error;
  }
  try {
    if (like.uid !== 0 || like.gid !== 0) files.chown(directory, '', like);
    files.chmod(directory, '', like.mode);
  } finally {
    files.close(directory);
  }
}
