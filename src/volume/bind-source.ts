import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import type { Owner } from '#base/id-mapping.ts';
import type { Kernel } from '#host/kernel.ts';

/*
 * Sources of bind mounts lie on any file system of the host, a network one that hangs among them. So every
 * look at them runs on a thread of its own, outside node's pool.
 */

type SlowFiles = Pick<Kernel['files'], 'openRoot' | 'close' | 'slow'>;

async function atRoot<T>(files: SlowFiles, work: (root: number) => Promise<T>): Promise<T> {
  const root = files.openRoot('/');
  try {
    return await work(root);
  } finally {
    files.close(root);
  }
}

/** True for anything that can be mounted, whatever its type. */
export async function sourceExists(files: SlowFiles, path: string): Promise<boolean> {
  return await atRoot(files, async (root) => {
    try {
      await files.slow.stat(root, path, { follow: true });
      return true;
    } catch (error) {
      const code = errorCode(error);
      // ELOOP: a magic link such as /proc/PID/ns/net, which exists; the runtime opens it.
      if (code === 'ELOOP') return true;
      if (code === 'ENOENT' || code === 'ENOTDIR') return false;
      throw new EngineError(
        'invalidArgument',
        `invalid mount config for type "bind": stat ${path}: ${errorMessage(error)}`,
        { cause: error },
      );
    }
  });
}

/** Makes a directory and its parents where nothing is. */
export async function makeSource(files: SlowFiles, path: string, owner: Owner): Promise<void> {
  await atRoot(files, async (root) => {
    const parts = path.split('/').filter((part) => part !== '');
    for (let i = 1; i <= parts.length; i++) {
      const step = parts.slice(0, i).join('/');
      try {
        await files.slow.mkdir(root, step, 0o755);
        if (owner.uid !== 0 || owner.gid !== 0) await files.slow.chown(root, step, owner);
      } catch (error) {
        if (errorCode(error) === 'EEXIST') continue;
        throw new EngineError(
          'internal',
          `error while creating mount source path '${path}': mkdir /${step}: ${errorMessage(error)}`,
          { cause: error },
        );
      }
    }
  });
}
