import { constants } from 'node:os';
import type { Context } from './context.ts';
import { Failure } from './messages.ts';
import { refuseTop } from './pause.ts';
import { isAlive, type Saved, statusOf } from './state.ts';

const MAX_SIGNAL = 64;
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`. */
export function signalNumber(text: string): number {
  const unknown = (): Failure => new Failure(`unknown signal ${JSON.stringify(text)}`);
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number > MAX_SIGNAL) throw unknown();
    return number;
  }
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  const [, edge, offset = '0'] = /^SIG(RTMIN|RTMAX)([+-]\d+)?$/.exec(name) ?? [];
  if (edge !== undefined) {
    const number = (edge === 'RTMIN' ? SIGRTMIN : SIGRTMAX) + Number(offset);
    if (number < SIGRTMIN || number > SIGRTMAX) throw unknown();
    return number;
  }
  const number = (constants.signals as Readonly<Record<string, number | undefined>>)[name];
  if (number === undefined) throw unknown();
  return number;
}

/** To every process of the container's cgroup; one that forks meanwhile is caught as long as it is frozen. */
async function signalAll(kernel: Context['kernel'], saved: Saved, signal: number): Promise<void> {
  refuseTop(saved.cgroup);
  const cgroups = kernel.cgroups();
  if (signal === constants.signals.SIGKILL) return cgroups.kill(saved.cgroup);
  const wasFrozen = cgroups.isFrozen(saved.cgroup);
  if (!wasFrozen) await cgroups.freeze(saved.cgroup).catch(() => undefined);
  try {
    for (const pid of cgroups.processes(saved.cgroup)) {
      const identity = kernel.processes.identity(pid);
      if (identity !== null) kernel.processes.signal(identity, signal);
    }
  } finally {
    if (!wasFrozen) await cgroups.thaw(saved.cgroup).catch(() => undefined);
  }
}

/** Takes no lock: it changes nothing, and a hook of this container may call it. */
export async function kill({ kernel, store, flags, words }: Context): Promise<void> {
  const [id = '', text = 'SIGTERM'] = words;
  const saved = store.get(id);
  const signal = signalNumber(text);
  if (flags.on('all')) return signalAll(kernel, saved, signal);
  if (!isAlive(kernel.processes, saved)) throw new Failure('container not running');
  const frozen = statusOf(kernel, saved) === 'paused';
  if (!kernel.processes.signal(saved, signal)) throw new Failure('container not running');
  // On v1 a frozen process does not die before it is thawed.
  if (signal === constants.signals.SIGKILL && frozen) await kernel.cgroups().thaw(saved.cgroup);
}
