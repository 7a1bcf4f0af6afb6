/**
 * What a program that lives for one command asks of Linux besides the engine's calls, and just those parts of
 * the kernel that it needs: its start is most of its time.
 */
import { readFileSync } from 'node:fs';
import { createCgroups } from './linux/cgroups.ts';
import { errnoNumber, kernelError } from './linux/errno.ts';
import { createFiles } from './linux/files.ts';
import { parseMountTable } from './linux/mount-table.ts';
import { loadNative, packageRoot } from './linux/native.ts';
import { createProcesses } from './linux/processes.ts';
import { createSockets } from './linux/sockets.ts';
import { Sys } from './linux/sys.ts';
import type { Cgroups, Files, MountEntry, Processes, ProcessIdentity, Sockets } from './kernel.ts';

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
  mountTable(): readonly MountEntry[];
  readonly locks: {
    /** Waits for an exclusive lock on what the descriptor names; closing gives it back (flock). */
    take(fd: number): Promise<void>;
  };
  readonly terminals: {
    /** Null where it is no terminal. */
    size(fd: number): WindowSize | null;
    resize(fd: number, size: WindowSize): void;
    /** Passes every byte both ways as it is; what is returned puts back how it was. Null: no terminal. */
    makeRaw(fd: number): (() => void) | null;
  };
  /** A descriptor that means this process and never a later one with its pid; null when it is gone. */
  openProcess(identity: ProcessIdentity): number | null;
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TCGETS = 0x5401;
const TCSETS = 0x5402;
/** Words of `struct termios`: what cfmakeraw(3) clears. */
const RAW_CLEARS = { input: 0o2753, output: 0o1, control: 0o460, local: 0o100113 } as const;
const CS8 = 0o60;

async function takeLock(sys: Sys, fd: number): Promise<void> {
  const result = sys.raw('flock', fd, LOCK_EX | LOCK_NB);
  if (result === 0) return;
  if (result !== -errnoNumber('EAGAIN')) throw kernelError(-result, 'flock');
  let waited: number;
  do waited = await sys.wait('flock', fd, LOCK_EX);
  while (waited === -errnoNumber('EINTR'));
  if (waited < 0) throw kernelError(-waited, 'flock');
}

/** As cfmakeraw(3): node's own raw mode goes on to translate line ends in the output. */
function makeRaw(sys: Sys, fd: number): (() => void) | null {
  const before = Buffer.alloc(64);
  if (sys.raw('ioctl', fd, TCGETS, before) < 0) return null;
  const raw = Buffer.from(before);
  for (const [index, bits] of Object.values(RAW_CLEARS).entries()) {
    const word = raw.readUInt32LE(4 * index) & ~bits;
    raw.writeUInt32LE((index === 2 ? word | CS8 : word) >>> 0, 4 * index);
  }
  sys.call(undefined, 'ioctl', fd, TCSETS, raw);
  return () => void sys.raw('ioctl', fd, TCSETS, before);
}

function terminals(sys: Sys): ProgramKernel['terminals'] {
  return {
    makeRaw: (fd) => makeRaw(sys, fd),
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
    mountTable: () => parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8')),
    locks: { take: (fd) => takeLock(sys, fd) },
    terminals: terminals(sys),
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
