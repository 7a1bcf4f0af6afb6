import { posix } from 'node:path';
import type { RuntimeSpec, SpecIdMapping } from '#oci/runtime-spec.ts';
import { TASK_SHM } from '../spec/namespaces.ts';
import { invalid, mountAttributes, type PlanBuilder } from './builder.ts';
import { planCgroupMount } from './cgroup-mounts.ts';
import type { LaunchContext } from './context.ts';
import { ATTR, OPEN, PROPAGATION } from './kernel-numbers.ts';
import {
  bindChange,
  dataOptions,
  type MountScene,
  type PlannedMount,
  planIsolation,
  rootPropagation,
} from './mount-model.ts';
import { changeOf, type MountOptions, parseMountOptions } from './mount-options.ts';
import { idMap } from './namespaces.ts';
import { SLOT } from './operations.ts';
import { insideRoot } from './paths.ts';

const TMPFS_MAGIC = 0x01021994;
/** Files in /proc that somebody may emulate. */
const EMULATED = new Set([
  '/proc/cpuinfo',
  '/proc/diskstats',
  '/proc/meminfo',
  '/proc/stat',
  '/proc/swaps',
  '/proc/uptime',
  '/proc/loadavg',
  '/proc/slabinfo',
  '/proc/net/dev',
  '/proc/sys/kernel/ns_last_pid',
]);

/** Opens the root in the host's namespace; what `attachRoot` takes. */
export function planRoot(builder: PlanBuilder, spec: RuntimeSpec, context: LaunchContext): number {
  const { root } = context;
  const given = 'slot' in root;
  const slot = given ? SLOT.rootfs : builder.hostTree(root.path, { recursive: true, from: 'root.path' });
  // What has peers cannot become the root; a mount that is given has none.
  if (!given) planIsolation(builder, { spec, slot, from: 'linux.rootfsPropagation' });
  else rootPropagation(spec);
  builder.child.push({
    op: 'attachRoot',
    slot,
    path: given ? root.at : root.path,
    from: 'root.path',
  });
  return slot;
}

export function readMounts(spec: RuntimeSpec): PlannedMount[] {
  return (spec.mounts ?? []).map((mount, i) => {
    const from = `mounts[${i}]`;
    const options = parseMountOptions(mount.options ?? []);
    const target = insideRoot(mount.destination, `${from}.destination`);
    if (target === '/') throw invalid(`${from}.destination`, 'the root cannot be mounted over');
    const type = options.bind ? 'bind' : (mount.type ?? '');
    checkProc({ mount, options, from, target, type });
    if (type === 'bind' && options.data.length > 0) {
      throw invalid(`${from}.options`, 'bind mounts cannot have any filesystem-specific options applied');
    }
    if (type === '') throw invalid(`${from}.type`, 'missing');
    return { mount, options, from, target, type };
  });
}

/** Over /proc goes procfs alone, and in it nothing but the files that have an emulation. */
function checkProc({ mount, from, target, type }: PlannedMount): void {
  if (target === '/proc') {
    const source = mount.source ?? '';
    if (type === 'proc' || source === '/proc' || source.startsWith('/proc/')) return;
    throw invalid(`${from}.destination`, `"${target}" cannot be mounted because it is not of type proc`);
  }
  if (type === 'proc' || type === 'sysfs' || !target.startsWith('/proc/') || EMULATED.has(target)) return;
  throw invalid(`${from}.destination`, `"${target}" cannot be mounted because it is inside /proc`);
}

export function planMounts(builder: PlanBuilder, scene: MountScene, mounts: readonly PlannedMount[]): void {
  for (const planned of mounts) {
    if (planned.type === 'bind') planBind(builder, scene, planned);
    else if (planned.type === 'cgroup') planCgroupMount(builder, scene, planned);
    else planFileSystem(builder, scene, planned);
  }
}

/** Read-only only once everything in them has been made. */
function isMadeReadonlyLater({ type, target }: PlannedMount): boolean {
  return type === 'tmpfs' || target === '/dev';
}

/** What the mounts of `isMadeReadonlyLater` become when the root is complete. */
export function planLateReadonly(builder: PlanBuilder, root: number, mounts: readonly PlannedMount[]): void {
  for (const planned of mounts) {
    if (!isMadeReadonlyLater(planned) || !(planned.options.set & ATTR.readonly)) continue;
    const change = { set: ATTR.readonly, path: planned.target };
    builder.child.push(mountAttributes(root, change, planned.from));
  }
}

function planFileSystem(builder: PlanBuilder, scene: MountScene, planned: PlannedMount): void {
  const { mount, options, from, target, type } = planned;
  const slot = builder.slot(from);
  const later = isMadeReadonlyLater(planned);
  const label = scene.spec.linux?.mountLabel ?? '';
  const labelled = label !== '' && !['proc', 'sysfs', 'mqueue'].includes(type);
  const superReadonly = !later && options.set & ATTR.readonly ? ['ro'] : [];
  const shared = {
    slot,
    source: mount.source ?? '',
    options: [...superReadonly, ...dataOptions(options.data), ...(labelled ? [`context=${label}`] : [])],
    attributes: changeOf(later ? options.set & ~ATTR.readonly : options.set, 0).set,
    from,
  };
  if (type === 'tmpfs' && !shared.options.some((option) => option.startsWith('mode='))) {
    builder.child.push({ op: 'makeTmpfs', root: scene.root, path: target, ...shared });
  } else builder.child.push({ op: 'makeMount', type, ...shared });
  if (type === 'tmpfs' && options.copyUp) {
    builder.child.push({ op: 'copyUp', slot, root: scene.root, path: target, from });
  }
  for (const change of treeChanges(options)) builder.child.push(mountAttributes(slot, change, from));
  builder.child.push({ op: 'attach', slot, root: scene.root, path: target, from });
}

/** Propagation in the order in which it was asked for, then what holds for everything below. */
function treeChanges(options: MountOptions): Parameters<typeof mountAttributes>[1][] {
  const tree = changeOf(options.treeSet, options.treeCleared);
  return [
    ...options.propagation.map(({ type, recursive }) => ({
      propagation: type,
      recursive: recursive ? 1 : 0,
    })),
    ...(tree.set === 0 && tree.clear === 0 ? [] : [{ ...tree, recursive: 1 }]),
  ];
}

function planBind(builder: PlanBuilder, scene: MountScene, planned: PlannedMount): void {
  const { options, from, target } = planned;
  const slot = openSource(builder, scene, planned);
  const own = options.propagation[0];
  const isolated =
    own?.recursive === true && (own.type === PROPAGATION.private || own.type === PROPAGATION.unbindable);
  if (!isolated) planIsolation(builder, { spec: scene.spec, slot, from }, true);
  const change = bindChange(options);
  if (change !== null) builder.before.push(mountAttributes(slot, change, from));
  for (const each of treeChanges(options)) builder.before.push(mountAttributes(slot, each, from));
  planIdMap(builder, scene, { planned, slot });
  builder.child.push({ op: 'attach', slot, root: scene.root, path: target, from });
}

function openSource(builder: PlanBuilder, scene: MountScene, { mount, options, from }: PlannedMount): number {
  const { source = '' } = mount;
  if (source === '') throw invalid(`${from}.source`, 'missing');
  if (source === TASK_SHM) return donorShm(builder, scene, from);
  const path = source.startsWith('/') ? source : posix.join(scene.context.bundle, source);
  return builder.hostTree(path, { recursive: options.recursive, from });
}

/** Another container's /dev/shm, by its mount namespace: no path leads there. */
function donorShm(builder: PlanBuilder, { context }: MountScene, from: string): number {
  if (context.shmOf === undefined) throw invalid(`${from}.source`, 'no container whose /dev/shm is meant');
  const namespace = builder.hostFile(context.shmOf, { flags: OPEN.cloexec, from });
  const slot = builder.slot(from);
  builder.before.push({
    op: 'treeOfNamespace',
    slot,
    namespace,
    path: '/dev/shm',
    magic: TMPFS_MAGIC,
    from,
  });
  return slot;
}

function planIdMap(
  builder: PlanBuilder,
  { spec, namespaces }: MountScene,
  { planned, slot }: { planned: PlannedMount; slot: number },
): void {
  const { mount, options, from } = planned;
  const own = mount.uidMappings !== undefined || mount.gidMappings !== undefined;
  if (options.idmap === 'none' && !own) return;
  const { uids, gids } = own
    ? { uids: mount.uidMappings ?? [], gids: mount.gidMappings ?? [] }
    : { uids: spec.linux?.uidMappings ?? [], gids: spec.linux?.gidMappings ?? [] };
  const recursive = options.idmap === 'tree' ? 1 : 0;
  const joined = own ? undefined : namespaces.joinedUser;
  const userns = joined ?? mappedNamespace(builder, { uids, gids, from });
  builder.before.push(mountAttributes(slot, { set: ATTR.idmap, recursive, userns }, from));
}

function mappedNamespace(
  builder: PlanBuilder,
  { uids, gids, from }: { uids: SpecIdMapping[]; gids: SpecIdMapping[]; from: string },
): number {
  if (uids.length === 0 || gids.length === 0) {
    throw invalid(from, 'an idmapped mount needs uidMappings and gidMappings, or a user namespace');
  }
  const slot = builder.slot(from);
  builder.before.push({ op: 'userNamespace', slot, uidMap: idMap(uids), gidMap: idMap(gids), from });
  return slot;
}
