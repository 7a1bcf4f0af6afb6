import type { CgroupHierarchy, CgroupLayout, MountEntry } from '../kernel.ts';

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

/**
 * Which hierarchies there are. `v2Controllers` reads cgroup.controllers of a mount point.
 */
export function cgroupLayout(
  mounts: readonly MountEntry[],
  v2Controllers: (mountPoint: string) => readonly string[],
): CgroupLayout {
  const seen = new Set<string>();
  const hierarchies: CgroupHierarchy[] = [];
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
    hierarchies.push({
      version: isV1 ? 1 : 2,
      mountPoint: mount.mountPoint,
      controllers,
    });
  }
  const hasV1 = hierarchies.some((hierarchy) => hierarchy.version === 1);
  const hasV2 = hierarchies.some((hierarchy) => hierarchy.version === 2);
  return { version: hasV1 && hasV2 ? 'hybrid' : hasV1 ? 'v1' : 'v2', hierarchies };
}
