import { join } from 'node:path';
import type { MountEntry } from '#host/kernel.ts';

/**
 * Where a shim watches for kills by lack of memory: the cgroup's directory in the hierarchies that there are.
 */
export function oomDirectories(
  table: readonly MountEntry[],
  cgroupPath: string,
): { v1?: string; v2?: string } {
  const v1 = table.find(
    (mount) => mount.type === 'cgroup' && mount.superOptions.split(',').includes('memory'),
  );
  const v2 = table.find((mount) => mount.type === 'cgroup2');
  return {
    ...(v1 === undefined ? {} : { v1: join(v1.mountPoint, cgroupPath) }),
    ...(v2 === undefined ? {} : { v2: join(v2.mountPoint, cgroupPath) }),
  };
}
