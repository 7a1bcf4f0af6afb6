import { errorCode } from '#base/errors.ts';
import type { Files } from '#host/kernel.ts';
import type { RootTreePort } from '#container/ports.ts';

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

function unless<T>(codes: ReadonlySet<string>, fallback: T): (error: unknown) => T {
  return (error) => {
    if (codes.has(errorCode(error) ?? '')) return fallback;
    throw error;
  };
}

function ignoring(codes: ReadonlySet<string>, step: () => void): void {
  try {
    step();
  } catch (error) {
    unless(codes, undefined)(error);
  }
}

const EXISTS: ReadonlySet<string> = new Set(['EEXIST']);

/** A container's tree by descriptor, as the container room asks for it. */
export function createRootTree(files: Files): RootTreePort {
  return {
    // On a thread of its own: a running container may have mounted anything there.
    readFile: (root, path, maxBytes) => files.slow.readFile(root, path, maxBytes).catch(unless(ABSENT, null)),
    kindOf: async (root, path) => {
      try {
        return files.stat(root, path, { follow: true }).type === 'directory' ? 'directory' : 'other';
      } catch (error) {
        return unless(ABSENT, 'missing' as const)(error);
      }
    },
    makeDirectory: async (root, path, owner) => {
      ignoring(EXISTS, () => {
        files.mkdir(root, path, 0o755);
        files.chown(root, path, owner);
      });
    },
    ensureFile: async (root, path) => {
      ignoring(EXISTS, () =>
        files.close(files.open(root, path, { access: 'write', create: true, exclusive: true, mode: 0o755 })),
      );
    },
    ensureSymlink: async (root, path, target) => ignoring(EXISTS, () => files.symlink(target, root, path)),
  };
}
