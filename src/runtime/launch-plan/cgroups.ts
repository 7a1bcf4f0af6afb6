import { posix } from 'node:path';
import type { CgroupHierarchy } from '#host/kernel.ts';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import type { PlanBuilder } from './builder.ts';
import type { LaunchContext } from './context.ts';
import { ERRNO, OPEN } from './kernel-numbers.ts';
import { NO_SLOT } from './operations.ts';
import { insideRoot } from './paths.ts';
import { type ResourceWrite, resourceWrites } from './resources.ts';

/** Where a container's cgroup is in one hierarchy. */
interface CgroupPlace {
  readonly hierarchy: CgroupHierarchy;
  /** On the host. */
  readonly path: string;
  /** Its directory; on v1 a detached copy of it, so that it can be shown in the container. */
  readonly slot: number;
}

export interface CgroupPlaces {
  readonly path: string;
  readonly v1: readonly CgroupPlace[];
  readonly v2?: CgroupPlace;
  /** The v2 hierarchy is the one with the controllers. */
  readonly unified: boolean;
}

const MODE = 0o755;
const FROM = 'linux.cgroupsPath';

/** The container's cgroup within each hierarchy: absolute. */
export function cgroupPath(spec: Pick<RuntimeSpec, 'linux'>, id: string): string {
  const path = spec.linux?.cgroupsPath ?? '';
  return path === '' ? `/${id}` : insideRoot(path, FROM);
}

function ancestors(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}

function makeDirectory(builder: PlanBuilder, hierarchy: CgroupHierarchy, path: string): string {
  const full = posix.join(hierarchy.mountPoint, path);
  builder.before.push({ op: 'makeDirectory', path: full, mode: MODE, ignore: [ERRNO.EEXIST], from: FROM });
  return full;
}

/** Directories above a cgroup, the hierarchy's own first. */
export function cgroupsAbove(path: string): string[] {
  return ['/', ...ancestors(path).slice(0, -1)];
}

/** What is not in the lists of the directories above has no files in ours. */
function enableControllers(
  builder: PlanBuilder,
  { hierarchy, path }: { readonly hierarchy: CgroupHierarchy; readonly path: string },
  enabled: LaunchContext['enabledControllers'] = {},
): void {
  for (const directory of cgroupsAbove(path)) {
    for (const controller of hierarchy.controllers) {
      if (enabled[directory]?.includes(controller) === true) continue;
      builder.before.push({
        op: 'writeFile',
        at: NO_SLOT,
        path: posix.join(hierarchy.mountPoint, directory, 'cgroup.subtree_control'),
        value: Buffer.from(`+${controller}`),
        // Who needs it and has not got it fails at its file.
        ignore: [ERRNO.ENOENT, ERRNO.EINVAL, ERRNO.EBUSY, ERRNO.EOPNOTSUPP],
        from: FROM,
      });
    }
  }
}

function placeV1(builder: PlanBuilder, hierarchy: CgroupHierarchy, path: string): CgroupPlace {
  const full = makeDirectory(builder, hierarchy, path);
  if (hierarchy.controllers.includes('cpuset')) {
    // A new cpuset has neither CPUs nor memory, and takes nobody in.
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      builder.before.push({ op: 'inheritFile', path: posix.join(full, name), from: FROM });
    }
  }
  return { hierarchy, path: full, slot: builder.hostTree(full, { recursive: false, from: FROM }) };
}

function placeV2(
  builder: PlanBuilder,
  place: { readonly hierarchy: CgroupHierarchy; readonly path: string },
  context: LaunchContext,
): CgroupPlace {
  const { hierarchy, path } = place;
  const full = makeDirectory(builder, hierarchy, path);
  if (context.cgroups.version === 'v2') enableControllers(builder, place, context.enabledControllers);
  return { hierarchy, path: full, slot: builder.hostFile(full, { flags: DIRECTORY, from: FROM }) };
}

const DIRECTORY = OPEN.directory | OPEN.cloexec;

/** Makes the container's cgroup in every hierarchy, in the parent. */
export function planCgroups(builder: PlanBuilder, spec: RuntimeSpec, context: LaunchContext): CgroupPlaces {
  const path = cgroupPath(spec, context.id);
  const { version, hierarchies } = context.cgroups;
  const unified = version === 'v2';
  const v1 = hierarchies.filter((each) => each.version === 1).map((each) => placeV1(builder, each, path));
  const second = hierarchies.find((each) => each.version === 2);
  return {
    path,
    v1,
    unified,
    ...(second === undefined ? {} : { v2: placeV2(builder, { hierarchy: second, path }, context) }),
  };
}

function placeOf(cgroups: CgroupPlaces, controller: string): CgroupPlace | undefined {
  if (cgroups.unified) return cgroups.v2;
  return cgroups.v1.find(({ hierarchy }) => hierarchy.controllers.includes(controller));
}

/** Limits and devices, before anybody is inside. */
export function planLimits(
  builder: PlanBuilder,
  { spec, context }: { spec: RuntimeSpec; context: LaunchContext },
  cgroups: CgroupPlaces,
): void {
  const resources = spec.linux?.resources;
  const { version } = context.cgroups;
  const from = 'linux.resources';
  const add = ({ controller, file, value, ignore, from: member }: ResourceWrite): void => {
    const place = placeOf(cgroups, controller);
    builder.before.push({
      op: 'writeFile',
      // Without the hierarchy it is a file that does not exist: the error names it.
      at: place === undefined ? NO_SLOT : place.slot,
      path: place === undefined ? posix.join('/sys/fs/cgroup', controller, cgroups.path, file) : file,
      value: Buffer.from(value),
      ...(ignore === undefined ? {} : { ignore }),
      from: `${from}.${member}`,
    });
  };
  if ('writes' in context.devices) {
    const devices = placeOf(cgroups, 'devices');
    for (const { file, value } of devices === undefined ? [] : context.devices.writes) {
      add({ controller: 'devices', file, value, from: 'devices' });
    }
  } else if (cgroups.unified && cgroups.v2 !== undefined) {
    const { slot } = cgroups.v2;
    builder.before.push({
      op: 'deviceProgram',
      cgroup: slot,
      program: context.devices.program,
      from: `${from}.devices`,
    });
  }
  for (const write of resourceWrites(version, resources ?? {})) add(write);
}

/**
 * In the child, first of all: into its v1 cgroups. By its own hand, which costs nothing; somebody else's
 * would wait for a grace period of the kernel.
 */
export function planAttach(builder: PlanBuilder, places: readonly { readonly slot: number }[]): void {
  const value = Buffer.from('0');
  for (const { slot } of places) {
    builder.child.push({ op: 'writeFile', at: slot, path: 'tasks', value, from: FROM });
  }
}

/** Files that whoever shall manage the cgroup from inside must own. */
const DELEGATED = ['', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads', 'memory.oom.group'];

export function planDelegation(builder: PlanBuilder, cgroups: CgroupPlaces, uid: number): void {
  if (!cgroups.unified || cgroups.v2 === undefined || uid === 0) return;
  for (const path of DELEGATED) {
    builder.before.push({
      op: 'changeOwner',
      at: cgroups.v2.slot,
      path,
      uid,
      gid: -1,
      ignore: [ERRNO.ENOENT],
      from: FROM,
    });
  }
}
