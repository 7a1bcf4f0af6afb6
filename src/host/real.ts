import { join } from 'node:path';
import type { Kernel } from './kernel.ts';
import { createCgroups } from './linux/cgroups.ts';
import { createFiles } from './linux/files.ts';
import { createFirewall } from './linux/firewall.ts';
import { createLinks } from './linux/links.ts';
import { createMounts } from './linux/mounts.ts';
import { createNamespaces } from './linux/namespaces.ts';
import { loadNative, packageRoot } from './linux/native.ts';
import { createProcesses } from './linux/processes.ts';
import { createSockets } from './linux/sockets.ts';
import { createThreads } from './linux/threads.ts';
import { createSystem } from './linux/system.ts';
import { Sys } from './linux/sys.ts';

export interface KernelOptions {
  /**
   * Absolute path of the shim's binary: its `overlay` job makes overlay mounts on kernels whose fsconfig
   * takes no `lowerdir+` (before 6.7). Default: the package's own.
   */
  readonly shim?: string;
}

/**
 * The Linux this process runs on. Once per process; worker threads may have one each, but only the main
 * thread spawns.
 */
export function createKernel(options: KernelOptions = {}): Kernel {
  const sys = new Sys(loadNative());
  const namespaces = createNamespaces(sys);
  const cgroups = createCgroups(sys);
  const processes = createProcesses(sys, cgroups);
  const links = createLinks({ sys, namespaces });
  const sockets = createSockets(sys);
  return {
    files: createFiles(sys),
    mounts: createMounts({
      sys,
      processes,
      sockets,
      overlayShim: options.shim ?? join(packageRoot(), 'dist', 'native', 'gantry-shim'),
    }),
    links,
    firewall: createFirewall({ sys, namespaces }),
    namespaces,
    cgroups,
    processes,
    threads: createThreads(sys),
    memory: { release: () => sys.native.releaseMemory() },
    sockets,
    system: createSystem(namespaces),
  };
}

export { packageRoot };
