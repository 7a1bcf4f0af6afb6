import type { RuntimeSpec, SpecIdMapping, SpecNamespace } from '#oci/runtime-spec.ts';
import { invalid, type PlanBuilder } from './builder.ts';
import type { LaunchContext } from './context.ts';
import { CLONE, OPEN } from './kernel-numbers.ts';
import { NO_SLOT, SLOT, SYNC } from './operations.ts';

export const NAMESPACE_FLAGS: Readonly<Record<string, number>> = {
  pid: CLONE.newPid,
  network: CLONE.newNet,
  mount: CLONE.newMount,
  ipc: CLONE.newIpc,
  uts: CLONE.newUts,
  user: CLONE.newUser,
  cgroup: CLONE.newCgroup,
  time: CLONE.newTime,
};

const FIRST_OWN_DESCRIPTOR = 3;

/** Which namespaces a container has of its own, which it shares with somebody, which are the host's. */
export interface Namespaces {
  /** New or joined: not the host's. */
  readonly has: (type: string) => boolean;
  readonly isNew: (type: string) => boolean;
  /** Slot of a user namespace that is joined. */
  readonly joinedUser?: number;
  /** A pid namespace whose processes shall not see this one while it is on the host. */
  readonly latePid?: Joined;
}

export interface Joined {
  readonly type: string;
  readonly slot: number;
  readonly from: string;
}

const IN_CHILD_ORDER = ['ipc', 'uts', 'network', 'cgroup', 'mount'];

export function idMap(mappings: readonly SpecIdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
}

function openJoined(builder: PlanBuilder, spec: RuntimeSpec, context: LaunchContext): Joined[] {
  return (spec.linux?.namespaces ?? []).flatMap(({ type, path }: SpecNamespace, i) => {
    const from = `linux.namespaces[${i}]`;
    if (path !== undefined && path !== '') {
      const slot = builder.hostFile(path, { flags: OPEN.cloexec, from: `${from}.path` });
      return [{ type, slot, from }];
    }
    const given = type === 'network' && context.netnsGiven === true;
    return given ? [{ type, slot: SLOT.netns, from }] : [];
  });
}

/** Opens what is joined by path; says what there will be. Nothing is entered yet. */
export function readNamespaces(
  builder: PlanBuilder,
  spec: RuntimeSpec,
  context: LaunchContext,
): Namespaces & { readonly joined: readonly Joined[] } {
  const listed = new Set<string>();
  for (const [i, { type }] of (spec.linux?.namespaces ?? []).entries()) {
    const from = `linux.namespaces[${i}].type`;
    if (NAMESPACE_FLAGS[type] === undefined) throw invalid(from, `unknown namespace "${type}"`);
    if (listed.has(type)) throw invalid(from, `malformed spec file: duplicated ns "${type}"`);
    listed.add(type);
  }
  const joined = openJoined(builder, spec, context);
  const joinedTypes = new Set(joined.map(({ type }) => type));
  const user = joined.find(({ type }) => type === 'user')?.slot;
  const pid = joined.find(({ type }) => type === 'pid');
  const isNew = (type: string): boolean => listed.has(type) && !joinedTypes.has(type);
  return {
    joined,
    has: (type) => listed.has(type),
    isNew,
    ...(user === undefined ? {} : { joinedUser: user }),
    // With a user namespace a procfs can be mounted only where one is in sight. Who is in it has no right to
    // trace what has not been executed in it.
    ...(pid === undefined || listed.has('user') ? {} : { latePid: pid }),
  };
}

/** Clock names of the spec and of the kernel are the same. */
function timeOffsets(spec: RuntimeSpec): string {
  return Object.entries(spec.linux?.timeOffsets ?? {})
    .map(([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`)
    .join('');
}

/**
 * A pid or time namespace takes in children only; and whoever is in a new user namespace may not enter what
 * somebody else owns.
 */
function isJoinedBefore(type: string, namespaces: Namespaces): boolean {
  if (type === 'time') return true;
  if (type === 'pid') return namespaces.latePid === undefined;
  return namespaces.isNew('user') && type !== 'mount' && type !== 'cgroup';
}

/**
 * The end of `before`: what must be entered by the parent of the first process. `cgroup`: slot of a v2 cgroup
 * that it is born in.
 */
export function planClone(
  builder: PlanBuilder,
  scene: {
    readonly spec: RuntimeSpec;
    readonly namespaces: ReturnType<typeof readNamespaces>;
    readonly cgroup: number;
  },
): void {
  const { spec, namespaces, cgroup } = scene;
  for (const { type, slot, from } of namespaces.joined) {
    if (!isJoinedBefore(type, namespaces)) continue;
    builder.before.push({ op: 'joinNamespace', slot, flags: NAMESPACE_FLAGS[type] ?? 0, from });
  }
  if (namespaces.isNew('time')) {
    builder.before.push({ op: 'unshare', flags: CLONE.newTime, from: 'linux.namespaces' });
    const offsets = timeOffsets(spec);
    if (offsets !== '') {
      const value = Buffer.from(offsets);
      const path = '/proc/self/timens_offsets';
      builder.before.push({ op: 'writeFile', at: NO_SLOT, path, value, from: 'linux.timeOffsets' });
    }
  }
  // What a user namespace shall own is made by its root.
  const first = namespaces.isNew('user') ? CLONE.newUser : 0;
  const flags = namespaces.has('user') ? first : newFlags(namespaces);
  builder.before.push({ op: 'clone', flags, cgroup, from: 'linux.namespaces' });
}

/** A cgroup namespace is made when the process is in its cgroup, a time namespace before the process. */
const MADE_ELSEWHERE = new Set(['user', 'cgroup', 'time']);

function newFlags(namespaces: Namespaces): number {
  return Object.entries(NAMESPACE_FLAGS)
    .filter(([type]) => !MADE_ELSEWHERE.has(type) && namespaces.isNew(type))
    .reduce((flags, [, flag]) => flags | flag, 0);
}

/**
 * In the child, in whose root and namespaces nothing is the host's any more: into a pid namespace that others
 * are in already. With CAP_SYS_PTRACE one of them could open what it has open, enter its root, or be it.
 */
export function planAppearance(builder: PlanBuilder, { slot, from }: Joined, preserved: number): void {
  builder.child.push(
    { op: 'joinNamespace', slot, flags: CLONE.newPid, from },
    { op: 'closeFrom', first: FIRST_OWN_DESCRIPTOR + preserved },
    { op: 'cloneAgain', flags: 0, from },
    { op: 'tell', point: SYNC.created },
  );
}

/** In the parent: what only it may write about its child. */
export function planMappings(builder: PlanBuilder, spec: RuntimeSpec, namespaces: Namespaces): void {
  if (!namespaces.isNew('user')) return;
  const { uidMappings = [], gidMappings = [] } = spec.linux ?? {};
  const write = (name: string, mappings: readonly SpecIdMapping[], from: string): void => {
    if (mappings.length === 0) throw invalid(from, 'missing for a new user namespace');
    builder.parent.push({ op: 'writeChildFile', name, value: Buffer.from(idMap(mappings)), from });
  };
  write('uid_map', uidMappings, 'linux.uidMappings');
  write('gid_map', gidMappings, 'linux.gidMappings');
  builder.parent.push({ op: 'tell', point: SYNC.mapsWritten });
}

/**
 * In the child, which is in its cgroups: the rest of its namespaces, and root in a user namespace. Whatever a
 * user namespace shall own is made after entering it.
 */
export function planEnter(builder: PlanBuilder, namespaces: ReturnType<typeof readNamespaces>): void {
  const { child } = builder;
  if (namespaces.isNew('user')) child.push({ op: 'wait', point: SYNC.mapsWritten });
  const user = namespaces.joined.find(({ type }) => type === 'user');
  if (user !== undefined) {
    child.push({ op: 'joinNamespace', slot: user.slot, flags: CLONE.newUser, from: user.from });
  }
  if (namespaces.has('user')) {
    child.push({ op: 'groups', gids: new Uint8Array() }, { op: 'gid', gid: 0 }, { op: 'uid', uid: 0 });
  }
  for (const type of IN_CHILD_ORDER) {
    const found = namespaces.joined.find((entry) => entry.type === type);
    if (found === undefined || isJoinedBefore(type, namespaces)) continue;
    child.push({
      op: 'joinNamespace',
      slot: found.slot,
      flags: NAMESPACE_FLAGS[type] ?? 0,
      from: found.from,
    });
  }
  const flags = namespaces.has('user') ? newFlags(namespaces) : 0;
  if (flags !== 0) child.push({ op: 'cloneAgain', flags, from: 'linux.namespaces' });
  if (namespaces.isNew('cgroup')) {
    child.push({ op: 'unshare', flags: CLONE.newCgroup, from: 'linux.namespaces' });
  }
}
