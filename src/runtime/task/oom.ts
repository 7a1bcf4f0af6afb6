import { join } from 'node:path';
import type { CgroupLayout } from '#host/kernel.ts';

/**
 * Where a shim watches for kills by lack of memory: the cgroup's directory in the hierarchies that there are.
 */
export function oomDirectories(
  { hierarchies }: CgroupLayout,
  cgroupPath: string,
): { v1?: string; v2?: string } {
  const v1 = hierarchies.find(({ version, controllers }) => version === 1 && controllers.includes('memory'));
  const v2 = hierarchies.find(({ version }) => version === 2);
  return {
    ...(v1 === undefined ? {} : { v1: join(v1.mountPoint, cgroupPath) }),
    ...(v2 === undefined ? {} : { v2: join(v2.mountPoint, cgroupPath) }),
  };
}
