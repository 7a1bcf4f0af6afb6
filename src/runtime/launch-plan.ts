import { assert } from '#base/assert.ts';
import type { RuntimeSpec, SpecProcess } from '#oci/runtime-spec.ts';
import { invalid, mountAttributes, PlanBuilder } from './launch-plan/builder.ts';
import {
  type CgroupPlaces,
  planAttach,
  planCgroups,
  planDelegation,
  planLimits,
} from './launch-plan/cgroups.ts';
import type { LaunchContext } from './launch-plan/context.ts';
import { makesDevices, planDevices, planNull } from './launch-plan/devices.ts';
import { planHooks } from './launch-plan/hooks.ts';
import { ATTR, ERRNO, OPEN } from './launch-plan/kernel-numbers.ts';
import type { PlannedMount } from './launch-plan/mount-model.ts';
import { planMountsAfter, planMountsBefore, splitMounts } from './launch-plan/late-mounts.ts';
import { planLateReadonly, planMounts, planRoot, readMounts } from './launch-plan/mounts.ts';
import {
  type Joined,
  planAppearance,
  planClone,
  planEnter,
  planMappings,
  readNamespaces,
} from './launch-plan/namespaces.ts';
import { type LaunchPlan, NO_SLOT, type Operation, SLOT, SYNC } from './launch-plan/operations.ts';
import { insideRoot } from './launch-plan/paths.ts';
import {
  planExecute,
  planProcess,
  planStdio,
  planTerminal,
  type ProcessScene,
  umaskOf,
} from './launch-plan/process.ts';
import {
  hasLabel,
  keyPermissions,
  planKeyring,
  planLabels,
  planPersonality,
  planPrivateProc,
} from './launch-plan/security.ts';
import { planSysctls, type PlannedSysctl } from './launch-plan/sysctl.ts';

export { cgroupsAbove } from './launch-plan/cgroups.ts';
export type { CompiledSeccomp, ExecContext, ExecTarget, LaunchContext } from './launch-plan/context.ts';
export { encodeLaunchPlan } from './launch-plan/encode.ts';
export { buildExecPlan } from './launch-plan/exec.ts';
export { errnoText, type LaunchFailure, launchFailureText } from './launch-plan/failure.ts';
export { knownMountOptions } from './launch-plan/mount-options.ts';
export { type LaunchPlan, LISTS, SLOT } from './launch-plan/operations.ts';
export { validateProcess, validateSpec } from './launch-plan/validate.ts';
export { CAPABILITIES } from './spec/capabilities.ts';

/*
 * From an OCI runtime spec to a launch plan: what `native/launcher` carries out. docs/flows/launch-plan.md
 * says how it runs.
 */

/** All that the parts of one plan share. */
interface Launch {
  readonly builder: PlanBuilder;
  readonly spec: RuntimeSpec;
  readonly process: SpecProcess;
  readonly context: LaunchContext;
  readonly namespaces: ReturnType<typeof readNamespaces>;
  readonly cgroups: CgroupPlaces;
  readonly mounts: readonly PlannedMount[];
  readonly sysctls: readonly PlannedSysctl[];
}

const DEFAULT_HOST_UID = 0;

/** The host's number of a user of the container. */
function hostUid(spec: RuntimeSpec, uid: number): number {
  const mapping = spec.linux?.uidMappings?.find(
    ({ containerID, size }) => uid >= containerID && uid < containerID + size,
  );
  return mapping === undefined ? DEFAULT_HOST_UID : mapping.hostID + uid - mapping.containerID;
}

function prepare(spec: RuntimeSpec, context: LaunchContext): Launch {
  const { process } = spec;
  if (process === undefined) throw invalid('process', 'missing');
  if (spec.root === undefined) throw invalid('root', 'must be specified');
  const builder = new PlanBuilder();
  builder.before.push(
    { op: 'dumpable', on: 0 },
    { op: 'oomScore', value: process.oomScoreAdj ?? context.oomScoreAdj, from: 'process.oomScoreAdj' },
  );
  const namespaces = readNamespaces(builder, spec, context);
  if (!namespaces.has('mount')) throw invalid('linux.namespaces', 'a mount namespace is needed');
  for (const name of ['hostname', 'domainname'] as const) {
    if (spec[name] && !namespaces.has('uts')) {
      throw invalid(name, `unable to set ${name} without a private UTS namespace`);
    }
  }
  const sysctls = planSysctls(spec, namespaces);
  const mounts = readMounts(spec);
  const cgroups = planCgroups(builder, spec, context);
  return { builder, spec, process, context, namespaces, cgroups, mounts, sysctls };
}

function planBefore({ builder, spec, process, context, namespaces, cgroups, mounts }: Launch): void {
  planLimits(builder, { spec, context }, cgroups);
  const writable = mounts.some(
    ({ type, target, options }) =>
      type === 'cgroup' && target === '/sys/fs/cgroup' && !(options.set & ATTR.readonly),
  );
  if (writable && namespaces.isNew('cgroup')) {
    planDelegation(builder, cgroups, hostUid(spec, process.user.uid));
  }
}

/** Two meeting points of parent and child, where somebody has something to do at them. */
function planParent(launch: Launch): void {
  const { builder, spec, context } = launch;
  const { parent, child } = builder;
  const runtime = [...planHooks(spec, context, 'prestart'), ...planHooks(spec, context, 'createRuntime')];
  // What is there already are limits of the child.
  const limits = parent.splice(0, parent.length);
  planMappings(builder, spec, launch.namespaces);
  if (runtime.length > 0 || limits.length > 0) {
    parent.push({ op: 'wait', point: SYNC.created }, ...runtime, ...limits);
    parent.push({ op: 'tell', point: SYNC.hooksDone });
    child.push({ op: 'tell', point: SYNC.created }, { op: 'wait', point: SYNC.hooksDone });
  }
  if (launch.namespaces.latePid !== undefined) parent.push({ op: 'wait', point: SYNC.created });
  // A child that waits for its start is ready; the starter must not wait for more.
  const ready = context.startFifo !== undefined;
  parent.push(ready ? { op: 'wait', point: SYNC.created } : { op: 'waitExecuted' });
  const started = context.poststart ?? context.startFifo === undefined;
  if (started) parent.push(...planHooks(spec, context, 'poststart'));
}

/** The root with everything in it, still beside the host's. */
function planTree(launch: Launch, root: number): void {
  const { builder, spec, context, namespaces, mounts } = launch;
  if (namespaces.latePid === undefined) planMounts(builder, { ...launch, root }, mounts);
  else planMountsBefore(builder, { ...launch, root }, splitMounts(mounts));
  if (makesDevices(mounts)) planDevices(builder, { spec, context, namespaces, root });
}

function planFinalRoot(launch: Launch, root: number): void {
  const { builder, spec, process, mounts } = launch;
  const { child } = builder;
  planLateReadonly(builder, root, mounts);
  if (spec.root?.readonly === true) {
    child.push(mountAttributes(root, { set: ATTR.readonly }, 'root.readonly'));
  }
  child.push(umaskOf(process));
  if (spec.hostname) child.push({ op: 'hostname', name: spec.hostname, from: 'hostname' });
  if (spec.domainname) child.push({ op: 'domainname', name: spec.domainname, from: 'domainname' });
}

function planHiddenPaths({ builder, spec }: Launch, root: number): void {
  const { maskedPaths = [], readonlyPaths = [] } = spec.linux ?? {};
  const ignore = [ERRNO.ENOENT];
  for (const [i, path] of readonlyPaths.entries()) {
    const from = `linux.readonlyPaths[${i}]`;
    builder.child.push({ op: 'makeReadonly', root, path: insideRoot(path, from), ignore, from });
  }
  if (maskedPaths.length === 0) return;
  const masking = planNull(builder, root);
  for (const [i, path] of maskedPaths.entries()) {
    const from = `linux.maskedPaths[${i}]`;
    builder.child.push({ op: 'mask', root, path: insideRoot(path, from), null: masking, ignore, from });
  }
}

/** Standard streams; a terminal is one of the container's own devpts and its /dev/console, too. */
function planStreams({ builder, process, namespaces }: Launch, root: number): void {
  if (process.terminal !== true) {
    if (namespaces.latePid === undefined) builder.child.push(planStdio(null));
    builder.child.push({ op: 'reopenNull', root, path: '/dev/null' });
    return;
  }
  const from = 'process.terminal';
  const terminal = planTerminal(builder, root, process);
  const slot = builder.slot(from);
  builder.child.push(
    { op: 'openTree', slot, at: terminal, path: '', recursive: 0, from },
    { op: 'attach', slot, root, path: '/dev/console', from },
    planStdio(terminal),
  );
}

/**
 * The container's procfs where it is as good as a private one: whole, writable, before anything is covered in
 * it, and in a mount namespace that nobody else can have entered.
 */
function wholeProc({ spec, process, namespaces, mounts }: Launch): PlannedMount | undefined {
  if (namespaces.has('user') || namespaces.latePid !== undefined || !namespaces.isNew('mount'))
    return undefined;
  if (process.selinuxLabel || (spec.hooks?.createContainer ?? []).length > 0) return undefined;
  return mounts.find(
    ({ type, target, options }) =>
      type === 'proc' &&
      target === '/proc' &&
      options.data.length === 0 &&
      !((options.set | options.treeSet) & ATTR.readonly),
  );
}

/** Its slot, once it is made. */
function wholeProcSlot(launch: Launch): number | null {
  const { from } = wholeProc(launch) ?? {};
  const made = launch.builder.child.find((each) => each.op === 'makeMount' && each.from === from);
  return from !== undefined && made?.op === 'makeMount' ? made.slot : null;
}

/** Slot of a procfs that nobody else sees, when one is needed. */
function planKeys(launch: Launch): number | null {
  const { builder, process, context, namespaces, sysctls } = launch;
  const needed = (sysctls.length > 0 || hasLabel(process)) && wholeProc(launch) === undefined;
  const where = namespaces.has('user') || context.inUserNamespace === true ? 'child' : 'before';
  const proc = needed ? planPrivateProc(builder, where) : null;
  const permissions = keyPermissions(namespaces.has('user'));
  builder.child.push(...planKeyring(context, { process, proc, permissions }));
  return proc;
}

/** Labels and settings. */
function planWrites({ builder, context, process, sysctls }: Launch, proc: number | null): void {
  assert(proc !== null || (sysctls.length === 0 && !hasLabel(process)), 'what is to be written has a procfs');
  builder.child.push(...planLabels(context, process, proc));
  for (const { path, value, from } of sysctls) {
    if (proc !== null) builder.child.push({ op: 'writeProc', proc, path, value: Buffer.from(value), from });
  }
}

/** From here on others in its pid namespace see the process. Slot of the root, which is `/` now. */
function planLateEntry(launch: Launch, pid: Joined): number {
  const { builder, process, context, mounts } = launch;
  const { child } = builder;
  // Through a procfs in which nothing is masked: it is closed before anybody can look.
  planWrites(launch, planKeys(launch));
  if (process.terminal !== true) child.push(planStdio(null));
  planAppearance(builder, pid, context.preservedDescriptors ?? 0);
  const root = builder.slot(pid.from);
  child.push({ op: 'setSession' }, { op: 'currentRoot', slot: root, from: pid.from });
  planMountsAfter(builder, { ...launch, root }, splitMounts(mounts));
  return root;
}

/** For what another process puts into the network namespace while this one is at work. */
function networkWait({ networkLater = false }: LaunchContext): Operation[] {
  const slot = SLOT.networkReady;
  return networkLater
    ? [
        { op: 'waitStart', slot },
        { op: 'close', slot },
      ]
    : [];
}

function planChild(launch: Launch, hostRoot: number, start: number | null): ProcessScene {
  const { builder, spec, process, context, namespaces, sysctls } = launch;
  const { child } = builder;
  const { latePid } = namespaces;
  const proc = latePid === undefined ? planKeys(launch) : null;
  if (namespaces.isNew('network')) child.push({ op: 'loopbackUp', from: 'linux.namespaces' });
  const scene: ProcessScene = {
    process,
    preserved: context.preservedDescriptors ?? 0,
    limitsByParent: namespaces.has('user'),
    ...(context.seccomp === undefined ? {} : { seccomp: context.seccomp }),
    ...(context.home === undefined ? {} : { home: context.home }),
    ...(context.capabilities === undefined ? {} : { known: context.capabilities }),
  };
  planTree(launch, hostRoot);
  const late = new PlanBuilder();
  planProcess(late, scene);
  builder.parent.push(...late.parent);
  planParent(launch);
  child.push(...planHooks(spec, context, 'createContainer'));
  const from = 'root.path';
  if (context.noPivot === undefined) child.push({ op: 'pivot', root: hostRoot, from });
  else child.push({ op: 'moveRoot', root: hostRoot, hide: context.noPivot.hide, from });
  const root = latePid === undefined ? hostRoot : planLateEntry(launch, latePid);
  child.push({ op: 'makePath', root, path: process.cwd, from: 'process.cwd' });
  planStreams(launch, root);
  planFinalRoot(launch, root);
  const wait = latePid === undefined ? networkWait(context) : [];
  // Settings of the network may be about a link.
  if (sysctls.length > 0) child.push(...wait.splice(0));
  if (latePid === undefined) planWrites(launch, proc ?? wholeProcSlot(launch));
  planHiddenPaths(launch, root);
  child.push(...planPersonality(spec.linux?.personality), ...wait, ...late.child);
  if (start !== null) child.push({ op: 'tell', point: SYNC.created }, { op: 'waitStart', slot: start });
  child.push(...planHooks(spec, context, 'startContainer'));
  return scene;
}

/**
 * The plan of a container: everything from an OCI runtime spec to its first process. Pure. The spec must have
 * passed `validateSpec` when it comes from outside. Errors: `invalidArgument`, beginning with the JSON path.
 */
export function buildLaunchPlan(spec: RuntimeSpec, context: LaunchContext): LaunchPlan {
  const launch = prepare(spec, context);
  const { builder, namespaces, cgroups } = launch;
  planBefore(launch);
  const { child } = builder;
  planAttach(builder, cgroups.v1);
  planEnter(builder, namespaces);
  // By the process that stays: entering a user namespace may have taken two.
  if (namespaces.latePid === undefined) child.push({ op: 'setSession' });
  const flags = OPEN.nonblock | OPEN.cloexec;
  const fifo = (path: string | undefined): number | null =>
    path === undefined ? null : builder.hostFile(path, { flags, from: 'process' });
  const [start, network] = [fifo(context.startFifo), fifo(context.networkFifo)];
  if (network !== null) child.push({ op: 'waitStart', slot: network });
  if (network !== null && namespaces.latePid !== undefined) child.push({ op: 'close', slot: network });
  // Nobody in the pid namespace that is joined may see what is waited for.
  if (namespaces.latePid !== undefined) child.push(...networkWait(context));
  const root = planRoot(builder, spec, context);
  const scene = planChild(launch, root, start);
  child.push(planExecute(scene));
  planClone(builder, { spec, namespaces, cgroup: cgroups.v2?.slot ?? NO_SLOT });
  return builder.plan();
}
