import type { RootTreePort } from '#container/ports.ts';
import type { Owner } from '#base/id-mapping.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files, SlowFileTree } from '#host/kernel.ts';

const DIRECTORY_MODE = 0o755;

/** A container's file tree by descriptors; every call runs off the main thread, for trees that hang. */
export function createRootTree(files: Files): RootTreePort {
  const { slow } = files;
  const as = (owner: Owner): SlowFileTree =>
    owner.uid === 0 && owner.gid === 0 ? slow : files.slowAs(owner);
  const missing = (error: unknown): boolean => isKernelError(error, 'ENOENT', 'ENOTDIR');
  const exists = (error: unknown): boolean => isKernelError(error, 'EEXIST');
  return {
    async readFile(rootFd, path, maxBytes) {
      const fd = await rootFd;
      try {
        return await slow.readFile(fd, path, maxBytes);
      } catch (error) {
        if (missing(error)) return null;
        throw error;
      }
    },
    async kindOf(rootFd, path) {
      const fd = await rootFd;
      try {
        return (await slow.stat(fd, path, { follow: true })).type === 'directory' ? 'directory' : 'other';
      } catch (error) {
        if (missing(error)) return 'missing';
        throw error;
      }
    },
    async makeDirectory(rootFd, path, owner) {
      const tree = as(owner);
      const fd = await rootFd;
      await tree.mkdir(fd, path, DIRECTORY_MODE);
      // Below a directory with the setgid bit it would have that one's group.
      await tree.chown(fd, path, owner);
    },
    async ensureFile(rootFd, path, owner) {
      const fd = await rootFd;
      try {
        await slow.close(
          await as(owner).open(fd, path, {
            access: 'write',
            create: true,
            exclusive: true,
            mode: DIRECTORY_MODE,
          }),
        );
      } catch (error) {
        if (!exists(error)) throw error;
      }
    },
    async ensureSymlink(rootFd, { path, target }, owner) {
      const fd = await rootFd;
      try {
        await as(owner).symlink(target, fd, path);
      } catch (error) {
        if (!exists(error)) throw error;
      }
    },
  };
}
