import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { KernelError } from '../kernel-error.ts';

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .map(([name, number]): [number, string] => [number, name])
    .reverse(),
);

/** Numbers that node has no name for. */
const MORE_NAMES: Readonly<Record<number, string>> = {
  13: 'EACCES',
  95: 'EOPNOTSUPP',
  117: 'EUCLEAN',
  524: 'ENOTSUPP',
};

/** The kernel's own words where node's (libuv's) differ and clients of the engine match them. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  EINVAL: 'invalid argument',
  EIO: 'input/output error',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  ENODEV: 'no such device',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EISDIR: 'is a directory',
  ETIMEDOUT: 'connection timed out',
  EUCLEAN: 'structure needs cleaning',
};

export function errnoName(errno: number): string {
  return MORE_NAMES[errno] ?? NAMES.get(errno) ?? `E${errno}`;
}

/** The number of an errno name on this machine. */
export function errnoNumber(name: keyof typeof constants.errno): number {
  return constants.errno[name];
}

export function kernelError(errno: number, syscall: string, path?: string): KernelError {
  const code = errnoName(errno);
  const reason = REASONS[code] ?? getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`;
  return new KernelError({ code, errno, syscall, reason, path });
}
