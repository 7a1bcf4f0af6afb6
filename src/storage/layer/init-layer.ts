import { isKernelError } from '#host/kernel-error.ts';
import type { Files, FileStat } from '#host/kernel.ts';

/*
 * Containers get mount points that an image may not have. They stand in a layer of their own between the
 * image and what the container writes, so that they never show up as changes of the container.
 */

type Stub = 'directory' | 'file' | { readonly linkTo: string };

const STUBS: readonly (readonly [path: string, stub: Stub])[] = [
  ['dev/pts', 'directory'],
  ['dev/shm', 'directory'],
  ['proc', 'directory'],
  ['sys', 'directory'],
  ['.dockerenv', 'file'],
  ['etc/resolv.conf', 'file'],
  ['etc/hosts', 'file'],
  ['etc/hostname', 'file'],
  ['dev/console', 'file'],
  ['etc/mtab', { linkTo: '/proc/mounts' }],
];

/** Whether something looks like what is written here at that path. */
export function isInitStub(path: string, stat: FileStat): boolean {
  const stub = STUBS.find(([name]) => name === path || name.startsWith(`${path}/`));
  if (stub === undefined) return false;
  const kind = stub[0] === path ? stub[1] : 'directory';
  if (typeof kind === 'object') return stat.type === 'symlink';
  return kind === 'directory' ? stat.type === 'directory' : stat.type === 'file' && stat.sizeBytes === 0;
}

function statOrNull(files: Files, root: number, path: string): FileStat | null {
  try {
    return files.stat(root, path);
  } catch (error) {
    if (isKernelError(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/** Makes `path` a directory of `target` that looks as it does in `image`. */
function mirrorDirectory(files: Files, trees: { image: number; target: number }, path: string): void {
  if (statOrNull(files, trees.target, path)?.type === 'directory') return;
  const found = statOrNull(files, trees.image, path);
  const inImage = found?.type === 'directory' ? found : null;
  // With image and target the same tree (vfs), a link or a file has to go first; in an overlay a directory
  // covers it.
  if (trees.image === trees.target && found !== null) files.unlink(trees.target, path);
  files.mkdir(trees.target, path, inImage?.mode ?? 0o755);
  if (inImage === null) return;
  files.chown(trees.target, path, inImage);
  for (const name of files.listXattrs(trees.image, path)) {
    const value = name.startsWith('trusted.overlay.') ? null : files.getXattr(trees.image, path, name);
    if (value !== null) files.setXattr(trees.target, path, { name, value });
  }
}

/**
 * Writes the stubs into `target`. `image` is the image's merged tree as the container would see it; for a
 * snapshotter that copies, both are the same descriptor.
 */
export function writeInitLayer(
  files: Files,
  trees: { readonly image: number; readonly target: number },
): void {
  for (const [path, stub] of STUBS) {
    const slash = path.indexOf('/');
    if (slash > 0) mirrorDirectory(files, trees, path.slice(0, slash));
    const covered = slash > 0 && statOrNull(files, trees.image, path.slice(0, slash))?.type !== 'directory';
    const existing = covered ? null : statOrNull(files, trees.image, path);
    if (existing?.type === 'directory') continue;
    if (trees.image === trees.target && existing !== null) files.unlink(trees.target, path);
    if (stub === 'directory') files.mkdir(trees.target, path, 0o755);
    else if (stub === 'file') files.mknod(trees.target, path, { type: 'file', mode: 0o755 });
    else files.symlink(stub.linkTo, trees.target, path);
  }
  restoreTimes(files, trees);
}

/** Directories that only pass through keep the image's times. */
function restoreTimes(files: Files, trees: { readonly image: number; readonly target: number }): void {
  if (trees.image === trees.target) return;
  for (const path of ['dev', 'etc']) {
    const inImage = statOrNull(files, trees.image, path);
    if (inImage?.type !== 'directory') continue;
    files.setTimes(trees.target, path, { atime: null, mtime: inImage.mtime });
  }
}
