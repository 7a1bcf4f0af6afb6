import type { Files, FileTree, SlowFileTree } from '../kernel.ts';
import { startBatch } from './entry-batch-run.ts';
import * as directories from './file-directory.ts';
import { carryOutSteps, discard } from './file-steps.ts';
import * as operations from './file-operations.ts';
import { AT, O, reach } from './file-paths.ts';
import * as attributes from './file-xattr.ts';
import { becomeOwner } from './owner.ts';
import type { Call, Operation, Sys } from './sys.ts';

/**
 * Magic numbers of statfs, linux/magic.h. The reference calls all of ext2, 3 and 4 `extfs`; here they keep
 * the kernel's name.
 */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x01021994: 'tmpfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x794c7630: 'overlay',
  0x2fc12fc1: 'zfs',
  0x6969: 'nfs',
  0x65735546: 'fuse',
  0xf2f52010: 'f2fs',
  0x137d: 'ext',
  0x4d44: 'vfat',
  0x858458f6: 'ramfs',
  0x9fa0: 'proc',
  0x62656572: 'sysfs',
  0x73717368: 'squashfs',
  0x01021997: '9p',
};

const STATFS_BYTES = 120;

export function createFiles(sys: Sys): Files {
  const tree = { ...operations, ...directories, ...attributes };
  return {
    ...immediate(sys, tree),
    slow: threaded(sys, tree),
    slowAs: (owner) => threaded(sys, tree, becomeOwner(sys, owner)),
    carryOut: (steps) =>
      steps.length === 0 ? Promise.resolve() : sys.later(carryOutSteps(steps), NO_DEADLINE),
    discard: (leaving) =>
      leaving.length === 0 ? Promise.resolve(true) : sys.later(discard(leaving), NO_DEADLINE),
    reach: (root, path, { noSymlinks = false } = {}) => reach(sys, root, { path, noSymlinks }),
    startBatch: () => startBatch(sys.native),
    writeAt: (fd, bytes, offset) => sys.later(operations.writeAt(fd, bytes, offset), NO_DEADLINE),
    startWriteBack: (fd, range) => sys.later(operations.startWriteBack(fd, range), NO_DEADLINE),
    openRoot: (path) => sys.call(path, 'openat', AT.FDCWD, path, O.PATH | O.DIRECTORY | O.CLOEXEC, 0),
    fileSystemType: (path) => {
      const buffer = Buffer.alloc(STATFS_BYTES);
      sys.call(path, 'statfs', path, buffer);
      const magic = buffer.readUInt32LE(0);
      return FILE_SYSTEMS[magic] ?? `0x${magic.toString(16)}`;
    },
  };
}

type Tree = typeof operations & typeof directories & typeof attributes;

function immediate(sys: Sys, tree: Tree): FileTree {
  return {
    open: (root, path, options) => sys.now(tree.open(root, path, options)),
    close: (fd) => sys.now(tree.close(fd)),
    stat: (root, path, options) => sys.now(tree.stat(root, path, options)),
    readFile: (root, path, maxBytes) => sys.now(tree.readFile(root, path, maxBytes)),
    readDirectory: (directory) => sys.now(tree.readDirectory(directory)),
    readLink: (root, path) => sys.now(tree.readLink(root, path)),
    mkdir: (root, path, mode) => sys.now(tree.mkdir(root, path, mode)),
    mknod: (root, path, node) => sys.now(tree.mknod(root, path, node)),
    symlink: (target, root, path) => sys.now(tree.symlink(target, root, path)),
    link: (root, existing, path) => sys.now(tree.link(root, existing, path)),
    rename: (root, from, to) => sys.now(tree.rename(root, from, to)),
    unlink: (root, path) => sys.now(tree.unlink(root, path)),
    rmdir: (root, path) => sys.now(tree.rmdir(root, path)),
    removeTree: (root, path) => sys.now(tree.removeTree(root, path)),
    chown: (root, path, owner) => sys.now(tree.chown(root, path, owner)),
    chmod: (root, path, mode) => sys.now(tree.chmod(root, path, mode)),
    setTimes: (root, path, times) => sys.now(tree.setTimes(root, path, times)),
    setXattr: (root, path, attribute) => sys.now(tree.setXattr(root, path, attribute)),
    getXattr: (root, path, name) => sys.now(tree.getXattr(root, path, name)),
    listXattrs: (root, path) => sys.now(tree.listXattrs(root, path)),
    removeXattr: (root, path, name) => sys.now(tree.removeXattr(root, path, name)),
    syncFileSystem: (fd) => sys.now(tree.syncFileSystem(fd)),
  };
}

/** Writing back a whole file system, or dropping an overlay, may rightly take minutes. */
const NO_DEADLINE = Number.POSITIVE_INFINITY;

function threaded(sys: Sys, tree: Tree, first: readonly Call[] = []): SlowFileTree {
  const later = <T>(operation: Operation<T>, deadlineMs?: number): Promise<T> =>
    sys.later(operation, deadlineMs, first);
  return {
    open: (root, path, options) => later(tree.open(root, path, options)),
    close: (fd) => later(tree.close(fd), NO_DEADLINE),
    stat: (root, path, options) => later(tree.stat(root, path, options)),
    readFile: (root, path, maxBytes) => later(tree.readFile(root, path, maxBytes)),
    readDirectory: (directory) => later(tree.readDirectory(directory)),
    readLink: (root, path) => later(tree.readLink(root, path)),
    mkdir: (root, path, mode) => later(tree.mkdir(root, path, mode)),
    mknod: (root, path, node) => later(tree.mknod(root, path, node)),
    symlink: (target, root, path) => later(tree.symlink(target, root, path)),
    link: (root, existing, path) => later(tree.link(root, existing, path)),
    rename: (root, from, to) => later(tree.rename(root, from, to)),
    unlink: (root, path) => later(tree.unlink(root, path)),
    rmdir: (root, path) => later(tree.rmdir(root, path)),
    removeTree: (root, path) => later(tree.removeTree(root, path)),
    chown: (root, path, owner) => later(tree.chown(root, path, owner)),
    chmod: (root, path, mode) => later(tree.chmod(root, path, mode)),
    setTimes: (root, path, times) => later(tree.setTimes(root, path, times)),
    setXattr: (root, path, attribute) => later(tree.setXattr(root, path, attribute)),
    getXattr: (root, path, name) => later(tree.getXattr(root, path, name)),
    listXattrs: (root, path) => later(tree.listXattrs(root, path)),
    removeXattr: (root, path, name) => later(tree.removeXattr(root, path, name)),
    syncFileSystem: (fd) => later(tree.syncFileSystem(fd), NO_DEADLINE),
  };
}
