import { EngineError } from '#base/errors.ts';
import type { SpecCapabilities } from '#oci/runtime-spec.ts';
import type { CapabilityInput } from '../spec-input.ts';

/** By number, as linux/capability.h has them. */
export const CAPABILITIES: readonly string[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** What a container gets without any option. The order is the reference's. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
].map((name) => `CAP_${name}`);

/** By its number in linux/capability.h; undefined for a name that there is not. */
export function capabilityNumber(name: string): number | undefined {
  const number = CAPABILITIES.indexOf(name);
  return number < 0 ? undefined : number;
}

/**
 * The names in a mask such as /proc/self/status has. A capability that this table does not know is not named.
 */
export function capabilitiesOf(mask: bigint): string[] {
  return CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);
}

/**
 * `NET_ADMIN`, `cap_net_admin` and `ALL` in the form the spec uses. Errors: `invalidArgument`, with the
 * reference's text.
 * `field` is the API field the names come from (`CapAdd`, `CapDrop`).
 */
export function normalizeCapabilities(names: readonly string[], field: string): string[] {
  return names.map((given) => {
    const upper = given.toUpperCase();
    if (upper === 'ALL' || upper === 'CAP_ALL') return 'ALL';
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!CAPABILITIES.includes(name)) {
      throw new EngineError('invalidArgument', `invalid ${field}: unknown capability: "${name}"`);
    }
    return name;
  });
}

export function resolveCapabilities(input: CapabilityInput, all: readonly string[]): string[] {
  const add = normalizeCapabilities(input.add, 'CapAdd');
  const drop = normalizeCapabilities(input.drop, 'CapDrop');
  const chosen = add.includes('ALL')
    ? all.filter((name) => !drop.includes(name))
    : drop.includes('ALL')
      ? add
      : [...DEFAULT_CAPABILITIES.filter((name) => !drop.includes(name)), ...add];
  return [...new Set(chosen)].filter((name) => name !== 'ALL');
}

/** Inheritable and ambient stay empty, so that a container's process gains nothing by execve. */
export function capabilitySets(names: readonly string[]): SpecCapabilities {
  return { bounding: [...names], effective: [...names], permitted: [...names] };
}
