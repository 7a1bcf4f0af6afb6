/**
 * A program that nobody can change while it runs. What enters a container can be reached from there as
 * `/proc/<pid>/exe`; a privileged root inside could open that for writing and so replace the engine's own
 * program on the host. So it is executed from a sealed copy in memory, one for all processes of this program.
 */
import { fstatSync, openSync, readSync, closeSync } from 'node:fs';
import { errnoNumber, kernelError } from './linux/errno.ts';
import { loadNative } from './linux/native.ts';
import { Sys } from './linux/sys.ts';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 16;
const F_ADD_SEALS = 1033;
const ALL_SEALS = 1 | 2 | 4 | 8;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_BYTES = 32;
const MAX_PROGRAM_BYTES = 64 * 1024 * 1024;

export interface SealedProgram {
  /** What to execute; good as long as this process lives. */
  readonly path: string;
  /**
   * After ETXTBSY: somebody in a privileged container holds the copy open for writing. That changes nothing
   * in it, but the kernel refuses to execute such a file; another copy is free of it.
   */
  renew(): void;
  close(): void;
}

function content(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_PROGRAM_BYTES) throw kernelError(errnoNumber('EFBIG'), 'read', path);
    const bytes = Buffer.alloc(size);
    let done = 0;
    while (done < size) {
      const got = readSync(fd, bytes, done, size - done, done);
      if (got === 0) throw kernelError(errnoNumber('EIO'), 'read', path);
      done += got;
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** Where executable memory files are forbidden (vm.memfd_noexec=2): a read-only mount of the file itself. */
function readonlyClone(sys: Sys, path: string): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  const fd = sys.call(path, 'open_tree', AT_FDCWD, path, flags);
  const attributes = Buffer.alloc(MOUNT_ATTR_BYTES);
  attributes.writeBigUInt64LE(BigInt(MOUNT_ATTR_RDONLY), 0);
  sys.call(path, 'mount_setattr', fd, '', AT_EMPTY_PATH, attributes, attributes.length);
  return fd;
}

export interface SealOptions {
  /** Makes the file in memory: its descriptor, or the errno below zero. Default: memfd_create. */
  readonly memory?: () => number;
}

function executableMemory(sys: Sys): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const fd = sys.raw('memfd_create', 'gantry-shim', flags | MFD_EXEC);
  // Linux before 6.3 does not know the flag: there, such files are always executable.
  return fd === -errnoNumber('EINVAL') ? sys.raw('memfd_create', 'gantry-shim', flags) : fd;
}

function sealedCopy(sys: Sys, path: string, { memory }: SealOptions): number {
  const fd = memory === undefined ? executableMemory(sys) : memory();
  if (fd === -errnoNumber('EACCES')) return readonlyClone(sys, path);
  if (fd < 0) throw kernelError(-fd, 'memfd_create', path);
  const bytes = content(path);
  for (let done = 0; done < bytes.length; ) {
    const rest = bytes.subarray(done);
    done += sys.call(path, 'write', fd, rest, rest.length);
  }
  sys.call(path, 'fcntl', fd, F_ADD_SEALS, ALL_SEALS);
  return fd;
}

class Sealed implements SealedProgram {
  readonly #sys = new Sys(loadNative());
  readonly #original: string;
  readonly #options: SealOptions;
  #fd: number;

  constructor(original: string, options: SealOptions) {
    this.#original = original;
    this.#options = options;
    this.#fd = sealedCopy(this.#sys, original, options);
  }

  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  renew(): void {
    const fd = sealedCopy(this.#sys, this.#original, this.#options);
    this.close();
    this.#fd = fd;
  }

  close(): void {
    this.#sys.raw('close', this.#fd);
  }
}

export function sealProgram(path: string, options: SealOptions = {}): SealedProgram {
  return new Sealed(path, options);
}
