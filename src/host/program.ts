/**
 * What a program that lives for one command asks of Linux besides the engine's calls, and just those parts of
 * the kernel that it needs: its start is most of its time.
 */
import { createCgroups } from './linux/cgroups.ts';
import { errnoNumber, kernelError } from './linux/errno.ts';
import { createFiles } from './linux/files.ts';
import { loadNative, packageRoot } from './linux/native.ts';
import { createProcesses } from './linux/processes.ts';
import { createSockets } from './linux/sockets.ts';
import { Sys } from './linux/sys.ts';
import type { Cgroups, ExitStatus, Files, Processes, ProcessIdentity, Sockets } from './kernel.ts';

export interface WindowSize {
  readonly width: number;
  readonly height: number;
}

export interface ProgramKernel {
  readonly files: Files;
  readonly processes: Processes;
  readonly sockets: Sockets;
  /** Reads the mount table, at the first call. */
  cgroups(): Cgroups;
  readonly locks: {
    /** Waits for an exclusive lock on what the descriptor names; closing gives it back (flock). */
    take(fd: number): Promise<void>;
  };
  readonly orphans: {
    /** From now on processes below us that lose their parent become our children. */
    adopt(): void;
    /** Such a process's end. It is reaped. */
    ended(identity: ProcessIdentity): Promise<ExitStatus>;
  };
  readonly terminals: {
    /** Null where it is no terminal. */
    size(fd: number): WindowSize | null;
    resize(fd: number, size: WindowSize): void;
  };
  /** A connected stream socket. The path may be of any length. */
  connect(path: string): number;
  /** A descriptor that means this process and never a later one with its pid; null when it is gone. */
  openProcess(identity: ProcessIdentity): number | null;
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const PR_SET_CHILD_SUBREAPER = 36;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const MAX_SOCKET_PATH = 107;
const P_PIDFD = 3;
const WEXITED = 4;
const CLD_EXITED = 1;
const SIGINFO_BYTES = 128;

async function ended(sys: Sys, { pid }: ProcessIdentity): Promise<ExitStatus> {
  const fd = sys.call(String(pid), 'pidfd_open', pid, 0);
  const info = Buffer.alloc(SIGINFO_BYTES);
  try {
    let result: number;
    do result = await sys.wait('waitid', P_PIDFD, fd, info, WEXITED, null);
    while (result === -errnoNumber('EINTR'));
    if (result < 0) throw kernelError(-result, 'waitid', String(pid));
  } finally {
    sys.raw('close', fd);
  }
  const status = info.readInt32LE(24);
  return info.readInt32LE(8) === CLD_EXITED ? { exitCode: status } : { signal: status };
}

/** A path that is too long for an address is reached through a descriptor. */
function connect(sys: Sys, path: string): number {
  const socket = sys.call(path, 'socket', AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  const through =
    Buffer.byteLength(path) > MAX_SOCKET_PATH ? sys.raw('openat', -100, path, 0o12000000, 0) : -1;
  try {
    const name = Buffer.from(`${through >= 0 ? `/proc/self/fd/${through}` : path}\0`);
    const address = Buffer.alloc(2 + name.length);
    address.writeUInt16LE(AF_UNIX, 0);
    name.copy(address, 2);
    sys.call(path, 'connect', socket, address, address.length);
    return socket;
  } catch (error) {
    sys.raw('close', socket);
    throw error;
  } finally {
    if (through >= 0) sys.raw('close', through);
  }
}

async function takeLock(sys: Sys, fd: number): Promise<void> {
  const result = sys.raw('flock', fd, LOCK_EX | LOCK_NB);
  if (result === 0) return;
  if (result !== -errnoNumber('EAGAIN')) throw kernelError(-result, 'flock');
  let waited: number;
  do waited = await sys.wait('flock', fd, LOCK_EX);
  while (waited === -errnoNumber('EINTR'));
  if (waited < 0) throw kernelError(-waited, 'flock');
}

function terminals(sys: Sys): ProgramKernel['terminals'] {
  return {
    size: (fd) => {
      const words = Buffer.alloc(8);
      if (sys.raw('ioctl', fd, TIOCGWINSZ, words) < 0) return null;
      return { height: words.readUInt16LE(0), width: words.readUInt16LE(2) };
    },
    resize: (fd, { width, height }) => {
      const words = Buffer.alloc(8);
      words.writeUInt16LE(height, 0);
      words.writeUInt16LE(width, 2);
      sys.call(undefined, 'ioctl', fd, TIOCSWINSZ, words);
    },
  };
}

export function createProgramKernel(): ProgramKernel {
  const sys = new Sys(loadNative());
  let made: ReturnType<typeof createCgroups> | undefined;
  const cgroups = (): ReturnType<typeof createCgroups> => (made ??= createCgroups(sys));
  const processes = createProcesses(sys, { entry: (path) => cgroups().entry(path) });
  return {
    files: createFiles(sys),
    processes,
    sockets: createSockets(sys),
    cgroups,
    locks: { take: (fd) => takeLock(sys, fd) },
    orphans: {
      adopt: () => void sys.call(undefined, 'prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
      ended: (identity) => ended(sys, identity),
    },
    terminals: terminals(sys),
    connect: (path) => connect(sys, path),
    openProcess: (identity) => {
      const fd = sys.raw('pidfd_open', identity.pid, 0);
      if (fd < 0) return null;
      if (processes.alive(identity)) return fd;
      sys.raw('close', fd);
      return null;
    },
  };
}

export { packageRoot };
