/**
 * The calls of `FileTree` as operations: run at once or on threads. See `kernel.ts` for what each promises.
 */
import type { FilePath, FileStat, FileTime, MknodOptions, OpenOptions } from '../kernel.ts';
import { errnoNumber, kernelError } from './errno.ts';
import {
  AT,
  factsInside,
  isRoot,
  O,
  openInside,
  openWithFacts,
  pathArgument,
  pathText,
  withHandle,
  withParent,
} from './file-paths.ts';
import { parseStatx, STATX_BASIC, STATX_BYTES, S_IF } from './file-stat.ts';
import { bare, check, type Operation, one } from './sys.ts';

const ACCESS = { read: O.RDONLY, write: O.WRONLY, readwrite: O.RDWR, path: O.PATH } as const;
const SPECIAL_BITS = 0o7000;
const LINK_BYTES = 4096;
/** So much comes with one read of a file on a disk or a tmpfs. */
const ONE_READ = 64 * 1024;

/** The process's umask: asked per call, since tests and programs change it. */
function masked(mode: number): boolean {
  return (mode & process.umask()) !== 0;
}

export function* open(root: number, path: FilePath, options: OpenOptions = {}): Operation<number> {
  const { access = 'read', mode = 0o644, noSymlinks = false } = options;
  let flags: number = ACCESS[access];
  if (options.create === true) flags |= O.CREAT;
  if (options.exclusive === true) flags |= O.EXCL;
  if (options.truncate === true) flags |= O.TRUNC;
  if (options.directory === true) flags |= O.DIRECTORY;
  if (options.noFollow === true) flags |= O.NOFOLLOW;
  if (options.nonBlocking === true) flags |= O.NONBLOCK;
  const creates = options.create === true;
  const fd = yield* openInside(root, path, { flags, mode: creates ? mode & 0o7777 : 0, noSymlinks });
  // Only when it is surely new: the mode of a file that was there before is its owner's business.
  if (creates && options.exclusive === true && masked(mode)) yield* one(pathText(path), 'fchmod', fd, mode);
  return fd;
}

export function* close(fd: number): Operation<void> {
  yield* one(undefined, 'close', fd);
}

export function* stat(
  root: number,
  path: FilePath,
  options: { readonly follow?: boolean } = {},
): Operation<FileStat> {
  if (isRoot(path)) return yield* statHandle(root, '', AT.EMPTY_PATH);
  if (options.follow === true) return yield* factsInside(root, path);
  return yield* withParent(root, path, (directory, name) => statHandle(directory, name, AT.SYMLINK_NOFOLLOW));
}

function* statHandle(directory: number, name: string | Buffer, flags: number): Operation<FileStat> {
  const buffer = Buffer.alloc(STATX_BYTES);
  yield* one(pathText(name), 'statx', directory, name, flags, STATX_BASIC, buffer);
  return parseStatx(buffer);
}

/** Two trips to a thread, as long as the file is what its size says. */
export function* readFile(root: number, path: FilePath, maxBytes: number): Operation<Buffer> {
  const { fd, facts } = yield* openWithFacts(root, path, { flags: O.RDONLY | O.NONBLOCK });
  let isOpen = true;
  try {
    if (facts.type !== 'file') throw kernelError(errnoNumber('EINVAL'), 'read', pathText(path));
    if (facts.sizeBytes > maxBytes) throw kernelError(errnoNumber('EFBIG'), 'read', pathText(path));
    if (facts.sizeBytes === 0 || facts.sizeBytes > ONE_READ)
      return yield* readAll(fd, path, { expected: facts.sizeBytes, maxBytes });
    const buffer = Buffer.alloc(facts.sizeBytes);
    const [length = 0] = yield [
      ['read', fd, buffer, buffer.length],
      ['close', fd],
    ];
    isOpen = false;
    return buffer.subarray(0, check(length, 'read', pathText(path)));
  } finally {
    if (isOpen) yield [['close', fd]];
  }
}

/** The size is a hint only: files of proc have none, and a file may grow meanwhile. */
function* readAll(
  fd: number,
  path: FilePath,
  size: { expected: number; maxBytes: number },
): Operation<Buffer> {
  const parts: Buffer[] = [];
  let total = 0;
  for (;;) {
    const part = Buffer.alloc(Math.min(size.maxBytes, Math.max(size.expected, 4096)) + 1);
    const length = yield* one(pathText(path), 'read', fd, part, part.length);
    if (length === 0) return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
    parts.push(part.subarray(0, length));
    total += length;
    if (total > size.maxBytes) throw kernelError(errnoNumber('EFBIG'), 'read', pathText(path));
  }
}

export function* readLink(root: number, path: FilePath): Operation<Buffer> {
  const buffer = Buffer.alloc(LINK_BYTES);
  const length = yield* withParent(root, path, (directory, name) =>
    one(pathText(path), 'readlinkat', directory, name, buffer, buffer.length),
  );
  return buffer.subarray(0, length);
}

/**
 * mkdir takes neither setuid nor setgid, and every creating call is subject to the umask: a second call
 * repairs that.
 */
function* exactMode(place: { directory: number; name: string | Buffer; mode: number }): Operation<void> {
  if (masked(place.mode) || (place.mode & SPECIAL_BITS) !== 0) {
    yield* changeMode(place.directory, place.name, place.mode);
  }
}

export function* mkdir(root: number, path: FilePath, mode: number): Operation<void> {
  yield* withParent(root, path, function* (directory, name): Operation<void> {
    yield* one(pathText(path), 'mkdirat', directory, name, mode & 0o777);
    yield* exactMode({ directory, name, mode });
  });
}

const NODE_TYPES = {
  fifo: S_IF.FIFO,
  socket: S_IF.SOCK,
  character: S_IF.CHR,
  block: S_IF.BLK,
  file: S_IF.REG,
} as const;

export function* mknod(root: number, path: FilePath, node: MknodOptions): Operation<void> {
  const device = encodeDevice(node.major ?? 0, node.minor ?? 0);
  yield* withParent(root, path, function* (directory, name): Operation<void> {
    yield* one(
      pathText(path),
      'mknodat',
      directory,
      name,
      NODE_TYPES[node.type] | (node.mode & 0o777),
      device,
    );
    yield* exactMode({ directory, name, mode: node.mode });
  });
}

/** The kernel's new 32-bit form: 12 bits of major between the halves of 20 bits of minor. */
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function* symlink(target: FilePath, root: number, path: FilePath): Operation<void> {
  yield* withParent(root, path, (directory, name) =>
    one(pathText(path), 'symlinkat', pathArgument(target), directory, name),
  );
}

export function* link(root: number, existing: FilePath, path: FilePath): Operation<void> {
  yield* withParent(root, existing, (fromDirectory, fromName) =>
    withParent(root, path, (directory, name) =>
      one(pathText(path), 'linkat', fromDirectory, fromName, directory, name, 0),
    ),
  );
}

export function* rename(root: number, from: FilePath, to: FilePath): Operation<void> {
  yield* withParent(root, from, (fromDirectory, fromName) =>
    withParent(root, to, (directory, name) =>
      one(pathText(to), 'renameat2', fromDirectory, fromName, directory, name, 0),
    ),
  );
}

export function* unlink(root: number, path: FilePath): Operation<void> {
  yield* withParent(root, path, (directory, name) => one(pathText(path), 'unlinkat', directory, name, 0));
}

export function* rmdir(root: number, path: FilePath): Operation<void> {
  yield* withParent(root, path, (directory, name) =>
    one(pathText(path), 'unlinkat', directory, name, AT.REMOVEDIR),
  );
}

export function* chown(
  root: number,
  path: FilePath,
  owner: { readonly uid: number; readonly gid: number },
): Operation<void> {
  const { uid, gid } = owner;
  if (isRoot(path)) {
    yield* one('.', 'fchownat', root, '', uid, gid, AT.EMPTY_PATH);
    return;
  }
  yield* withParent(root, path, (directory, name) =>
    one(pathText(path), 'fchownat', directory, name, uid, gid, AT.SYMLINK_NOFOLLOW),
  );
}

export function* chmod(root: number, path: FilePath, mode: number): Operation<void> {
  if (isRoot(path)) {
    yield* one('.', 'fchmodat', AT.FDCWD, handlePath(root), mode);
    return;
  }
  yield* withParent(root, path, (directory, name) => changeMode(directory, name, mode));
}

/** fchmodat2 came with Linux 6.6; before it, only the detour by /proc does not follow links. */
function* changeMode(directory: number, name: string | Buffer, mode: number): Operation<void> {
  const result = yield* bare('fchmodat2', directory, name, mode, AT.SYMLINK_NOFOLLOW);
  if (result !== -errnoNumber('ENOSYS')) {
    check(result, 'fchmodat2', pathText(name));
    return;
  }
  const bytes = typeof name === 'string' ? name : name.subarray(0, -1);
  yield* withHandle(directory, bytes, function* (handle): Operation<void> {
    const facts = yield* statHandle(handle, '', AT.EMPTY_PATH);
    if (facts.type === 'symlink') throw kernelError(errnoNumber('EOPNOTSUPP'), 'fchmodat', pathText(name));
    yield* one(pathText(name), 'fchmodat', AT.FDCWD, handlePath(handle), mode);
  });
}

const UTIME_OMIT = 0x3ffffffe;

export function* setTimes(
  root: number,
  path: FilePath,
  times: { readonly atime: FileTime | null; readonly mtime: FileTime | null },
): Operation<void> {
  const buffer = Buffer.alloc(32);
  for (const [offset, time] of [[0, times.atime] as const, [16, times.mtime] as const]) {
    buffer.writeBigInt64LE(BigInt(time?.seconds ?? 0), offset);
    buffer.writeBigInt64LE(BigInt(time?.nanoseconds ?? UTIME_OMIT), offset + 8);
  }
  if (isRoot(path)) {
    // By descriptor, but for an O_PATH one: that says EBADF.
    const result = yield* bare('utimensat', root, null, buffer, 0);
    if (result === -errnoNumber('EBADF')) yield* one('.', 'utimensat', AT.FDCWD, handlePath(root), buffer, 0);
    else check(result, 'utimensat', '.');
    return;
  }
  yield* withParent(root, path, (directory, name) =>
    one(pathText(path), 'utimensat', directory, name, buffer, AT.SYMLINK_NOFOLLOW),
  );
}

/**
 * The way from an O_PATH descriptor to calls that take paths only: the magic link leads to the very inode.
 */
export function handlePath(handle: number): string {
  return `/proc/self/fd/${handle}`;
}

const SYNC_FILE_RANGE_WRITE = 2;

/** How many bytes the kernel took; some, where the disk is nearly full. */
export function* writeAt(fd: number, bytes: Uint8Array, offset: number): Operation<number> {
  return yield* one(undefined, 'pwrite64', fd, bytes, bytes.length, offset);
}

export function* startWriteBack(
  fd: number,
  range: { readonly offset: number; readonly length: number },
): Operation<void> {
  yield* one(undefined, 'sync_file_range', fd, range.offset, range.length, SYNC_FILE_RANGE_WRITE);
}

export function* syncFileSystem(fd: number): Operation<void> {
  yield* one(undefined, 'syncfs', fd);
}
