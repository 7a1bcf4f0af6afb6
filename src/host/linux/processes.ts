import { readFileSync } from 'node:fs';
import type {
  ExitStatus,
  ProcessFacts,
  Processes,
  ProcessIdentity,
  SpawnedProcess,
  SpawnOptions,
} from '../kernel.ts';
import type { CgroupsInside } from './cgroups.ts';
import { errnoNumber, kernelError } from './errno.ts';
import type { Sys } from './sys.ts';

/** What the addon numbers: `enum step` in spawn.c. */
const STEPS = ['clone3', 'cgroup', 'setsid', 'dup', 'chdir', 'execve'] as const;
const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const CLD_EXITED = 1;
const SIGINFO_BYTES = 128;

export function parseStat(text: string, pid: number): ProcessFacts | null {
  // The name is in parentheses and may hold anything, parentheses and blanks too.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const fields = text.slice(close + 2).split(' ');
  const [state = '', parent = ''] = fields;
  return {
    pid,
    command: text.slice(open + 1, close),
    state,
    parentPid: Number(parent),
    startTime: Number(fields[19]),
  };
}

function facts(pid: number): ProcessFacts | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'), pid);
  } catch {
    return null;
  }
}

/** Our children, reaped when SIGCHLD says that one ended: nobody else waits for them. */
class Children {
  readonly #sys: Sys;
  readonly #ends = new Map<number, (status: ExitStatus) => void>();
  readonly #onSignal = (): void => this.#reap();

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  add(pid: number): Promise<ExitStatus> {
    if (this.#ends.size === 0) process.on('SIGCHLD', this.#onSignal);
    const exited = new Promise<ExitStatus>((resolve) => this.#ends.set(pid, resolve));
    // It may have ended before the signal's handler knew of it; after this turn its caller knows it, too.
    setImmediate(this.#onSignal);
    return exited;
  }

  #reap(): void {
    for (const [pid, end] of this.#ends) {
      const info = Buffer.alloc(SIGINFO_BYTES);
      const result = this.#sys.raw('waitid', P_PID, pid, info, WEXITED | WNOHANG, null);
      if (result === 0 && info.readInt32LE(16) === 0) continue;
      this.#ends.delete(pid);
      end(result < 0 ? { exitCode: 0 } : statusOf(info));
    }
    if (this.#ends.size === 0) process.off('SIGCHLD', this.#onSignal);
  }
}

/** `siginfo_t`: code at 8, and of a child: pid at 16, status at 24. */
function statusOf(info: Buffer): ExitStatus {
  const status = info.readInt32LE(24);
  return info.readInt32LE(8) === CLD_EXITED ? { exitCode: status } : { signal: status };
}

export function createProcesses(sys: Sys, cgroups: Pick<CgroupsInside, 'entry'>): Processes {
  const children = new Children(sys);
  const identity = (pid: number): ProcessIdentity | null => {
    const found = facts(pid);
    return found === null ? null : { pid, startTime: found.startTime };
  };
  return {
    identity,
    facts,
    spawn: (options) => spawn({ sys, cgroups, children }, options),
    alive: ({ pid, startTime }) => {
      const found = facts(pid);
      return found !== null && found.startTime === startTime && found.state !== 'Z' && found.state !== 'X';
    },
    signal: ({ pid, startTime }, signal) => {
      const fd = sys.raw('pidfd_open', pid, 0);
      if (fd < 0) return false;
      try {
        if (identity(pid)?.startTime !== startTime) return false;
        const result = sys.raw('pidfd_send_signal', fd, signal, null, 0);
        if (result < 0 && result !== -errnoNumber('ESRCH')) throw kernelError(-result, 'kill', String(pid));
        return result === 0;
      } finally {
        sys.raw('close', fd);
      }
    },
  };
}

interface SpawnDeps {
  readonly sys: Sys;
  readonly cgroups: Pick<CgroupsInside, 'entry'>;
  readonly children: Children;
}

async function spawn({ sys, cgroups, children }: SpawnDeps, options: SpawnOptions): Promise<SpawnedProcess> {
  const env = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
  const fds = Int32Array.from([...(options.fds ?? new Map<number, number>())].flat());
  const entry = options.cgroup === undefined ? undefined : cgroups.entry(options.cgroup);
  try {
    const result = await sys.native.spawn(
      options.path,
      options.argv,
      env,
      options.cwd ?? null,
      fds,
      entry?.fd ?? -1,
      entry?.tasksFiles ?? [],
    );
    if (typeof result !== 'number') {
      const step = STEPS[result[1]] ?? 'spawn';
      throw kernelError(
        result[0],
        step,
        step === 'chdir' ? options.cwd : step === 'cgroup' ? options.cgroup : options.path,
      );
    }
    // Not reaped before this, so the pid is still its own.
    const startTime = facts(result)?.startTime ?? 0;
    return { pid: result, startTime, exited: children.add(result) };
  } finally {
    entry?.close();
  }
}
