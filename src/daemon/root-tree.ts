import type { RootTreePort } from '#container/ports.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files } from '#host/kernel.ts';

const DIRECTORY_MODE = 0o755;

/** A container's file tree by descriptors; every call runs off the main thread, for trees that hang. */
export function createRootTree(files: Files): RootTreePort {
  const { slow } = files;
  const missing = (error: unknown): boolean => isKernelError(error, 'ENOENT', 'ENOTDIR');
  const exists = (error: unknown): boolean => isKernelError(error, 'EEXIST');
  return {
    async readFile(rootFd, path, maxBytes) {
      try {
        return await slow.readFile(rootFd, path, maxBytes);
      } catch (error) {
        if (missing(error)) return null;
        throw error;
      }
    },
    async kindOf(rootFd, path) {
      try {
        return (await slow.stat(rootFd, path, { follow: true })).type === 'directory' ? 'directory' : 'other';
      } catch (error) {
        if (missing(error)) return 'missing';
        throw error;
      }
    },
    async makeDirectory(rootFd, path, owner) {
      await slow.mkdir(rootFd, path, DIRECTORY_MODE);
      await slow.chown(rootFd, path, owner);
    },
    async ensureFile(rootFd, path) {
      try {
        await slow.close(
          await slow.open(rootFd, path, {
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
    async ensureSymlink(rootFd, path, target) {
      try {
        await slow.symlink(target, rootFd, path);
      } catch (error) {
        if (!exists(error)) throw error;
      }
    },
  };
}
