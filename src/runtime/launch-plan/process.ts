import type { SpecCapabilities, SpecProcess } from '#oci/runtime-spec.ts';
import { capabilityNumber } from '../spec/capabilities.ts';
import { invalid, type PlanBuilder } from './builder.ts';
import type { CompiledSeccomp } from './context.ts';
import {
  IO_CLASS_SHIFT,
  IO_CLASSES,
  RLIMITS,
  SCHEDULER_FLAGS,
  SCHEDULER_POLICIES,
} from './kernel-numbers.ts';
import { type Operation, SLOT } from './operations.ts';
import { environmentOf, programCandidates } from './program.ts';

const DEFAULT_UMASK = 0o022;
const UNLIMITED = 2n ** 64n - 1n;
const FIRST_OWN_DESCRIPTOR = 3;
const MAX_IO_PRIORITY = 7;
const ALL_CAPABILITIES = 2n ** 41n - 1n;

/** What the process of a container and that of an exec have in common. */
export interface ProcessScene {
  readonly process: SpecProcess;
  readonly seccomp?: CompiledSeccomp;
  readonly home?: string;
  /** Capabilities of this kernel. */
  readonly known?: bigint;
  readonly preserved: number;
  /** Limits are set by the parent, who is root on the host. */
  readonly limitsByParent: boolean;
}

export function umaskOf({ user }: SpecProcess): Operation {
  return { op: 'umask', mask: user.umask ?? DEFAULT_UMASK, from: 'process.user.umask' };
}

function limitValue(value: number, from: string): bigint {
  // Beyond 2^53 a JSON number is not exact; what was the largest of them means no limit.
  if (value === -1 || value >= 2 ** 64) return UNLIMITED;
  if (!Number.isInteger(value) || value < 0) throw invalid(from, `${value} is no limit`);
  return BigInt(value);
}

export function planRlimits({ rlimits = [] }: SpecProcess): Operation[] {
  const seen = new Set<string>();
  return rlimits.map(({ type, soft, hard }, i) => {
    const from = `process.rlimits[${i}]`;
    const resource = RLIMITS[type];
    if (resource === undefined) throw invalid(`${from}.type`, `invalid rlimit type: ${type}`);
    if (seen.has(type)) throw invalid(`${from}.type`, `${type} is there twice`);
    seen.add(type);
    const [low, high] = [limitValue(soft, `${from}.soft`), limitValue(hard, `${from}.hard`)];
    if (low > high) throw invalid(`${from}.soft`, `${soft} is more than the hard limit, ${hard}`);
    return { op: 'rlimit', resource, soft: low, hard: high, from };
  });
}

/** Numbers of capabilities as a mask; those that this kernel does not have yet are left out. */
function capabilityMask(names: readonly string[] = [], from: string, known: bigint): bigint {
  let mask = 0n;
  for (const [i, name] of names.entries()) {
    const number = capabilityNumber(name);
    if (number === undefined) throw invalid(`${from}[${i}]`, `unknown capability "${name}"`);
    mask |= 1n << BigInt(number);
  }
  return mask & known;
}

function capabilityMasks(capabilities: SpecCapabilities = {}, known: bigint) {
  const mask = (set: keyof SpecCapabilities): bigint =>
    capabilityMask(capabilities[set], `process.capabilities.${set}`, known);
  const [permitted, inheritable] = [mask('permitted'), mask('inheritable')];
  return {
    bounding: mask('bounding'),
    effective: mask('effective'),
    permitted,
    inheritable,
    // The kernel takes no others; the reference asks for them, too, and goes on without.
    ambient: mask('ambient') & permitted & inheritable,
  };
}

function gidBytes(gids: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * gids.length);
  for (const [i, gid] of gids.entries()) bytes.writeUInt32LE(gid, 4 * i);
  return bytes;
}

function planUser(scene: ProcessScene): Operation[] {
  const { process } = scene;
  const { uid, gid, additionalGids = [] } = process.user;
  const masks = capabilityMasks(process.capabilities, scene.known ?? ALL_CAPABILITIES);
  const { bounding, ambient, effective, permitted, inheritable } = masks;
  const from = 'process.capabilities';
  const cwd = { op: 'workingDirectory', path: process.cwd, from: 'process.cwd' } as const;
  return [
    { op: 'bounding', mask: bounding, from: `${from}.bounding` },
    { op: 'keepCapabilities', on: 1 },
    // Whatever root may enter, the user may start in; else the user itself must be able to.
    { ...cwd, attempt: 1 },
    { op: 'ownStdio', uid, from: 'process.user.uid' },
    { op: 'groups', gids: gidBytes(additionalGids), from: 'process.user.additionalGids' },
    { op: 'gid', gid, from: 'process.user.gid' },
    { op: 'uid', uid, from: 'process.user.uid' },
    { ...cwd, attempt: 2 },
    { op: 'keepCapabilities', on: 0 },
    { op: 'capabilities', effective, permitted, inheritable, from },
    { op: 'ambient', mask: ambient, from: `${from}.ambient` },
  ];
}

function planScheduler({ scheduler, ioPriority }: SpecProcess): Operation[] {
  const operations: Operation[] = [];
  if (scheduler !== undefined) {
    const from = 'process.scheduler';
    const policy = SCHEDULER_POLICIES[scheduler.policy];
    if (policy === undefined) throw invalid(`${from}.policy`, `unknown policy "${scheduler.policy}"`);
    const { nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
    const flags = (scheduler.flags ?? []).reduce((bits, name, i) => {
      const bit = SCHEDULER_FLAGS[name];
      if (bit === undefined) throw invalid(`${from}.flags[${i}]`, `unknown flag "${name}"`);
      return bits | bit;
    }, 0);
    operations.push({ op: 'scheduler', policy, nice, priority, flags, runtime, deadline, period, from });
  }
  if (ioPriority !== undefined) {
    const from = 'process.ioPriority';
    const band = IO_CLASSES[ioPriority.class];
    if (band === undefined) throw invalid(`${from}.class`, `unknown class "${ioPriority.class}"`);
    const { priority } = ioPriority;
    if (priority < 0 || priority > MAX_IO_PRIORITY)
      throw invalid(`${from}.priority`, `${priority} is not 0-7`);
    operations.push({ op: 'ioPriority', value: (band << IO_CLASS_SHIFT) | priority, from });
  }
  return operations;
}

/** Standard streams: those of the caller, or the terminal in a slot. */
export function planStdio(terminal: number | null): Operation {
  if (terminal === null) {
    return { op: 'stdio', in: SLOT.in, out: SLOT.out, err: SLOT.err, controlling: 0 };
  }
  return {
    op: 'stdio',
    in: terminal,
    out: terminal,
    err: terminal,
    controlling: 1,
    from: 'process.terminal',
  };
}

export function planTerminal(
  builder: PlanBuilder,
  root: number,
  { consoleSize = { width: 0, height: 0 } }: SpecProcess,
): number {
  const from = 'process.terminal';
  const slot = builder.slot(from);
  const { width, height } = consoleSize;
  builder.child.push({ op: 'terminal', slot, root, path: '/dev/pts/ptmx', width, height, from });
  return slot;
}

/**
 * From a complete root to the program that can be executed. Without no_new_privs seccomp needs a capability
 * and comes first; else it comes last, and the process is free of what its profile forbids.
 */
export function planProcess(builder: PlanBuilder, scene: ProcessScene): void {
  const { process, seccomp } = scene;
  const { child } = builder;
  const filter: Operation[] =
    seccomp === undefined ? [] : [{ op: 'seccomp', ...seccomp, from: 'linux.seccomp' }];
  const free = process.noNewPrivileges === true;
  if (free) child.push({ op: 'noNewPrivileges', from: 'process.noNewPrivileges' });
  child.push(...planScheduler(process));
  (scene.limitsByParent ? builder.parent : child).push(...planRlimits(process));
  child.push({ op: 'resetSignals' }, { op: 'closeFrom', first: FIRST_OWN_DESCRIPTOR + scene.preserved });
  if (!free) child.push(...filter);
  child.push(...planUser(scene));
  const environment = environmentOf(process, scene.home);
  const candidates = programCandidates(process.args[0] ?? '', environment);
  child.push({ op: 'findProgram', candidates, from: 'process.args[0]' });
  if (free) child.push(...filter);
}

export function planExecute({ process, home }: ProcessScene): Operation {
  return {
    op: 'execute',
    arguments: process.args,
    environment: environmentOf(process, home),
    from: 'process.args',
  };
}
