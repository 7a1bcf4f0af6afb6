import { posix } from 'node:path';
import type { SpecProcess } from '#oci/runtime-spec.ts';
import { invalid, PlanBuilder } from './builder.ts';
import { planAttach } from './cgroups.ts';
import type { ExecContext, ExecTarget } from './context.ts';
import { CLONE, OPEN } from './kernel-numbers.ts';
import { NAMESPACE_FLAGS } from './namespaces.ts';
import { type LaunchPlan, NO_SLOT, type Operation, SLOT, SYNC } from './operations.ts';
import { insideRoot } from './paths.ts';
import { planExecute, planProcess, planStdio, planTerminal, type ProcessScene, umaskOf } from './process.ts';
import { hasLabel, planKeyring, planLabels, planPersonality, planPrivateProc } from './security.ts';

const DIRECTORY = OPEN.directory | OPEN.cloexec;
const MAX_CPU = 8192;
const FIRST_OWN_DESCRIPTOR = 3;

/** `0-3,8` as bits, the lowest CPU first. */
export function cpuMask(list: string, from: string): Uint8Array {
  const bytes: number[] = [];
  for (const part of list.split(',')) {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part);
    const first = Number(match?.[1] ?? NaN);
    const last = Number(match?.[2] ?? first);
    if (match === null || last < first || last >= MAX_CPU)
      throw invalid(from, `"${list}" is no list of CPUs`);
    for (let cpu = first; cpu <= last; cpu += 1) {
      const at = cpu >> 3;
      while (bytes.length <= at) bytes.push(0);
      bytes[at] = (bytes[at] ?? 0) | (1 << (cpu & 7));
    }
  }
  // The kernel takes whole words.
  const words = Math.ceil(bytes.length / 8) * 8;
  return Uint8Array.from({ length: words }, (_, i) => bytes[i] ?? 0);
}

function affinity(process: SpecProcess, when: 'initial' | 'final'): Operation[] {
  const list = process.execCPUAffinity?.[when] ?? '';
  const from = `process.execCPUAffinity.${when}`;
  return list === '' ? [] : [{ op: 'affinity', mask: cpuMask(list, from), from }];
}

/** The container's cgroups: directories of v1 for the child to enter, one of v2 for it to be born in. */
function openCgroups(builder: PlanBuilder, target: ExecTarget, context: ExecContext) {
  const from = 'linux.cgroupsPath';
  const path = insideRoot(target.cgroupsPath, from);
  const open = (top: string, below: string): number =>
    builder.hostFile(posix.join(top, below), { flags: DIRECTORY, from });
  const { hierarchies } = context.cgroups;
  const v1 = hierarchies
    .filter(({ version }) => version === 1)
    .map(({ mountPoint }) => ({ slot: open(mountPoint, path) }));
  const second = hierarchies.find(({ version }) => version === 2);
  const v2 = second === undefined ? NO_SLOT : open(second.mountPoint, context.initCgroup ?? path);
  return { v1, v2 };
}

function joinedFlags(namespaces: readonly string[]): number {
  return namespaces.reduce((flags, type) => flags | (NAMESPACE_FLAGS[type] ?? 0), 0);
}

/** In the child: out of the host, whose procfs is taken along while it can be mounted. */
function planInside(builder: PlanBuilder, process: SpecProcess, target: ExecTarget): number | null {
  const { child } = builder;
  const proc = hasLabel(process) ? planPrivateProc(builder, 'child') : null;
  const flags = joinedFlags(target.namespaces);
  if (flags !== 0) child.push({ op: 'joinNamespace', slot: SLOT.init, flags });
  if (flags & CLONE.newUser) {
    child.push({ op: 'groups', gids: new Uint8Array() }, { op: 'gid', gid: 0 }, { op: 'uid', uid: 0 });
  }
  return proc;
}

/**
 * Nobody in the container sees the process before it has left all behind that is the host's: with
 * CAP_SYS_PTRACE one could open its descriptors, or be it.
 */
function planAppearance(builder: PlanBuilder, { process, preserved }: ProcessScene): void {
  const { child, parent } = builder;
  if (process.terminal !== true) child.push(planStdio(null));
  child.push({ op: 'closeFrom', first: FIRST_OWN_DESCRIPTOR + preserved });
  child.push({ op: 'cloneAgain', flags: 0, from: 'linux.namespaces' }, { op: 'tell', point: SYNC.created });
  parent.push({ op: 'wait', point: SYNC.created });
}

function planTerminalStreams(builder: PlanBuilder, process: SpecProcess): void {
  const root = builder.slot('process.terminal');
  builder.child.push({ op: 'currentRoot', slot: root, from: 'process.terminal' });
  builder.child.push(planStdio(planTerminal(builder, root, process)));
}

/**
 * The plan of a further process in a running container, whose init is in SLOT.init. Pure. Errors:
 * `invalidArgument`, beginning with the JSON path in the process.
 */
export function buildExecPlan(process: SpecProcess, target: ExecTarget, context: ExecContext): LaunchPlan {
  const builder = new PlanBuilder();
  const { before, parent, child } = builder;
  const userNamespace = target.namespaces.includes('user');
  before.push({ op: 'dumpable', on: 0 }, ...affinity(process, 'initial'), {
    op: 'oomScore',
    value: process.oomScoreAdj ?? context.oomScoreAdj,
    from: 'process.oomScoreAdj',
  });
  const cgroups = openCgroups(builder, target, context);
  planAttach(builder, cgroups.v1);
  child.push(...affinity(process, 'final'));
  const proc = planInside(builder, process, target);
  child.push(...planKeyring(context, { process, proc, permissions: 0 }));
  child.push(...planLabels(context, process, proc));
  const { seccomp, home, capabilities } = context;
  const scene: ProcessScene = {
    process,
    preserved: context.preservedDescriptors ?? 0,
    limitsByParent: userNamespace,
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(home === undefined ? {} : { home }),
    ...(capabilities === undefined ? {} : { known: capabilities }),
  };
  planAppearance(builder, scene);
  child.push({ op: 'setSession' });
  if (process.terminal === true) planTerminalStreams(builder, process);
  child.push(umaskOf(process), ...planPersonality(target.personality));
  planProcess(builder, scene);
  child.push(planExecute(scene));
  parent.push({ op: 'waitExecuted' });
  before.push({ op: 'clone', flags: 0, cgroup: cgroups.v2, from: 'linux.cgroupsPath' });
  return builder.plan();
}
