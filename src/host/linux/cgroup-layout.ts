import type { CgroupVersion, MountEntry } from '../kernel.ts';

export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /**
   * v1: those mounted here (`name=systemd` for a hierarchy without one); v2: what cgroup.controllers says.
   */
  readonly controllers: readonly string[];
  /** This process's group, relative to the mount point. */
  readonly ownPath: string;
}

export interface CgroupLayout {
  readonly version: CgroupVersion;
  readonly hierarchies: readonly Hierarchy[];
}

const NO_CONTROLLER = new Set([
  'rw',
  'ro',
  'xattr',
  'clone_children',
  'noprefix',
  'nsdelegate',
  'seclabel',
  'relatime',
]);

/** The lines of /proc/self/cgroup: `ID:controllers:path`. */
function ownPaths(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  return paths;
}

/**
 * Inside a container without a cgroup namespace the mount shows only the container's own group: the mount's
 * root is then a prefix of the process's path and does not exist below the mount point.
 */
function belowMount(path: string, root: string): string {
  if (root === '/') return path;
  if (path === root) return '/';
  return path.startsWith(`${root}/`) ? path.slice(root.length) : '/';
}

/**
 * Which hierarchies there are and where this process is in them. `v2Controllers` reads cgroup.controllers of
 * a mount point.
 */
export function cgroupLayout(
  mounts: readonly MountEntry[],
  ownCgroups: string,
  v2Controllers: (mountPoint: string) => readonly string[],
): CgroupLayout {
  const own = ownPaths(ownCgroups);
  const seen = new Set<string>();
  const hierarchies: Hierarchy[] = [];
  for (const mount of mounts) {
    if (mount.type !== 'cgroup' && mount.type !== 'cgroup2') continue;
    const isV1 = mount.type === 'cgroup';
    const controllers = isV1
      ? mount.superOptions
          .split(',')
          .filter((option) => !NO_CONTROLLER.has(option) && !option.startsWith('release_agent='))
      : v2Controllers(mount.mountPoint);
    const identity = isV1 ? controllers.join(',') : '';
    if (seen.has(identity)) continue;
    seen.add(identity);
    const path = own.get(isV1 ? (controllers[0] ?? '') : '') ?? '/';
    hierarchies.push({
      version: isV1 ? 1 : 2,
      mountPoint: mount.mountPoint,
      controllers,
      ownPath: belowMount(path, mount.root),
    });
  }
  const hasV1 = hierarchies.some((hierarchy) => hierarchy.version === 1);
  const hasV2 = hierarchies.some((hierarchy) => hierarchy.version === 2);
  return { version: hasV1 && hasV2 ? 'hybrid' : hasV1 ? 'v1' : 'v2', hierarchies };
}
