import type { FilePath, FileStat } from '../kernel.ts';
import { errnoName, errnoNumber, kernelError } from './errno.ts';
import { parseStatx, STATX_BASIC, STATX_BYTES } from './file-stat.ts';
import { bare, check, type Call, type Operation, type PlainCall, type Sys } from './sys.ts';

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  // The two that differ between architectures.
  DIRECTORY: process.arch === 'arm64' ? 0o40000 : 0o200000,
  NOFOLLOW: process.arch === 'arm64' ? 0o100000 : 0o400000,
} as const;

export const AT = { FDCWD: -100, SYMLINK_NOFOLLOW: 0x100, REMOVEDIR: 0x200, EMPTY_PATH: 0x1000 } as const;

const RESOLVE = { NO_MAGICLINKS: 0x02, NO_SYMLINKS: 0x04, IN_ROOT: 0x10 } as const;
const SLASH = 0x2f;
/** openat2 answers EAGAIN when a rename raced with the look-up of a `..`. */
const RACE_RETRIES = 64;

export interface Flags {
  readonly flags: number;
  readonly mode?: number;
  readonly noSymlinks?: boolean;
}

/** Text for messages. */
export function pathText(path: FilePath): string {
  return typeof path === 'string' ? path : path.toString();
}

/** A path argument for a system call: bytes get their NUL. */
export function pathArgument(path: FilePath): string | Buffer {
  if (typeof path === 'string') return path;
  if (path.includes(0)) throw kernelError(errnoNumber('EINVAL'), 'path', pathText(path));
  return Buffer.concat([path, Buffer.alloc(1)]);
}

function openCall(root: number, path: FilePath, { flags, mode = 0, noSymlinks = false }: Flags): PlainCall {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O.CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(
    BigInt(RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS | (noSymlinks ? RESOLVE.NO_SYMLINKS : 0)),
    16,
  );
  return ['openat2', root, isRoot(path) ? '.' : pathArgument(path), how, how.length];
}

/** Opens inside the root, whatever links and dots are on the way. */
export function* openInside(root: number, path: FilePath, flags: Flags): Operation<number> {
  const call = openCall(root, path, flags);
  let result = 0;
  for (let attempt = 0; attempt < RACE_RETRIES; attempt += 1) {
    result = yield* bare(...call);
    if (result !== -errnoNumber('EAGAIN')) break;
  }
  return check(result, 'openat2', pathText(path));
}

/** What opening it would say: an errno's name, null when it can be opened. No exception: those cost most. */
export function reach(
  sys: Sys,
  root: number,
  { path, noSymlinks }: { readonly path: FilePath; readonly noSymlinks: boolean },
): string | null {
  const call = openCall(root, path, { flags: O.PATH, noSymlinks });
  let result = sys.raw(...call);
  for (let again = 1; again < RACE_RETRIES && result === -errnoNumber('EAGAIN'); again += 1)
    result = sys.raw(...call);
  if (result < 0) return errnoName(-result);
  sys.raw('close', result);
  return null;
}

/** As `openInside`, and what was opened, in one go. */
export function* openWithFacts(
  root: number,
  path: FilePath,
  flags: Flags,
): Operation<{ readonly fd: number; readonly facts: FileStat }> {
  const { fd, looked, facts } = yield* openAndLook(root, path, { flags, last: [] });
  if (looked < 0) yield [['close', fd]];
  check(looked, 'statx', pathText(path));
  return { fd, facts: parseStatx(facts) };
}

/** What is at a path, links followed, in one go. */
export function* factsInside(root: number, path: FilePath): Operation<FileStat> {
  const how = { flags: { flags: O.PATH }, last: [['close', [0]]] } as const;
  const { looked, facts } = yield* openAndLook(root, path, how);
  check(looked, 'statx', pathText(path));
  return parseStatx(facts);
}

/** `last`: what is done with it in the same go, after the look. */
function* openAndLook(
  root: number,
  path: FilePath,
  { flags, last }: { readonly flags: Flags; readonly last: readonly Call[] },
): Operation<{ readonly fd: number; readonly looked: number; readonly facts: Buffer }> {
  const call = openCall(root, path, flags);
  const facts = Buffer.alloc(STATX_BYTES);
  let results: readonly number[] = [];
  for (let attempt = 0; attempt < RACE_RETRIES; attempt += 1) {
    results = yield [call, ['statx', [0], '', AT.EMPTY_PATH, STATX_BASIC, facts], ...last];
    if (results[0] !== -errnoNumber('EAGAIN')) break;
  }
  return { fd: check(results[0] ?? 0, 'openat2', pathText(path)), looked: results[1] ?? 0, facts };
}

export function isRoot(path: FilePath): boolean {
  const text = typeof path === 'string' ? path : path.toString('latin1');
  return text === '' || text === '.' || text === '/';
}

interface Split {
  readonly parent: FilePath | null;
  readonly name: FilePath;
}

function splitPath(path: FilePath): Split {
  if (typeof path === 'string') {
    const trimmed = path.endsWith('/') ? path.replace(/\/+$/, '') : path;
    const at = trimmed.lastIndexOf('/');
    return at < 0
      ? { parent: null, name: trimmed }
      : { parent: trimmed.slice(0, at), name: trimmed.slice(at + 1) };
  }
  let end = path.length;
  while (end > 0 && path[end - 1] === SLASH) end -= 1;
  const at = path.subarray(0, end).lastIndexOf(SLASH);
  return at < 0
    ? { parent: null, name: path.subarray(0, end) }
    : { parent: path.subarray(0, at), name: path.subarray(at + 1, end) };
}

/**
 * Runs `body` with the directory that holds the path's last component, and that component: a single name,
 * never a dot or two. The directory is looked up inside the root, so the call made on it cannot leave.
 */
export function* withParent<T>(
  root: number,
  path: FilePath,
  body: (directory: number, name: string | Buffer) => Operation<T>,
): Operation<T> {
  const { parent, name } = splitPath(path);
  const text = typeof name === 'string' ? name : name.toString('latin1');
  if (text === '' || text === '.' || text === '..')
    throw kernelError(errnoNumber('EINVAL'), 'path', pathText(path));
  if (parent === null) return yield* body(root, pathArgument(name));
  const directory = yield* openInside(root, parent, { flags: O.PATH | O.DIRECTORY });
  try {
    return yield* body(directory, pathArgument(name));
  } finally {
    yield [['close', directory]];
  }
}

/** Runs `body` with an O_PATH descriptor of the path itself: of the link, where it is one. */
export function* withHandle<T>(
  root: number,
  path: FilePath,
  body: (handle: number) => Operation<T>,
): Operation<T> {
  const handle = yield* openInside(root, path, { flags: O.PATH | O.NOFOLLOW });
  try {
    return yield* body(handle);
  } finally {
    yield [['close', handle]];
  }
}
