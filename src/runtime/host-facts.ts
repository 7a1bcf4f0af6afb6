import { existsSync, readFileSync } from 'node:fs';
import type { Kernel } from '#host/kernel.ts';
import type { HostFacts } from './spec-input.ts';
import { kernelAtLeast } from './seccomp/profile.ts';
import { capabilitiesOf } from './spec/capabilities.ts';

/** Mounts by descriptor with their attributes, all signals' pidfds, and idmapped mounts came before it. */
const OLDEST_KERNEL = '5.15';

/** Why containers cannot be started on this kernel, or null. */
export function kernelProblem(version: string): string | null {
  if (!/^\d+\.\d+/.test(version)) return `the kernel's version "${version}" cannot be read`;
  if (kernelAtLeast(version, OLDEST_KERNEL)) return null;
  return `Linux ${OLDEST_KERNEL} or newer is required, this is ${version}: starting containers needs its calls for mounts`;
}

/** What specs depend on and this host decides. Read once, when the daemon starts. */
export function readHostFacts(kernel: Pick<Kernel, 'system'>): HostFacts {
  const { kernelVersion, machine, cpus } = kernel.system.facts();
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const throttle = Array.from(
    { length: cpus },
    (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`,
  );
  return {
    arch: machine === 'aarch64' ? 'arm64' : machine === 'x86_64' ? 'x64' : machine,
    kernelVersion,
    capabilities: capabilitiesOf(BigInt(`0x${mask}`)),
    extraMaskedPaths: throttle.filter((path) => existsSync(path)),
  };
}
