import type { SpecCpu, SpecDeviceCgroup, SpecMemory, SpecResources } from '#oci/runtime-spec.ts';
import type { ResourceInput, SpecInput } from '../spec-input.ts';

const CPU_PERIOD_US = 100_000;

function character(allow: boolean, major: number, minor: number): SpecDeviceCgroup {
  return { allow, type: 'c', major, minor, access: 'rwm' };
}

/**
 * Nothing, but zero, null, urandom, random, tty and console; fuse is named because some runtimes add it by
 * default.
 */
const DEFAULT_RULES: readonly SpecDeviceCgroup[] = [
  { allow: false, access: 'rwm' },
  character(true, 1, 5),
  character(true, 1, 3),
  character(true, 1, 9),
  character(true, 1, 8),
  character(true, 5, 0),
  character(true, 5, 1),
  character(false, 10, 229),
];

function memory(input: ResourceInput): SpecMemory {
  return {
    ...(input.memoryBytes ? { limit: input.memoryBytes } : {}),
    ...(input.memoryReservationBytes ? { reservation: input.memoryReservationBytes } : {}),
    ...(input.memorySwapBytes ? { swap: input.memorySwapBytes } : {}),
    ...(input.kernelMemoryBytes ? { kernel: input.kernelMemoryBytes } : {}),
    ...(input.memorySwappiness === undefined || input.memorySwappiness < 0
      ? {}
      : { swappiness: input.memorySwappiness }),
    disableOOMKiller: input.oomKillDisable ?? false,
  };
}

function cpu(input: ResourceInput): SpecCpu | undefined {
  const given: SpecCpu = {};
  const from = input.cpu ?? {};
  if (from.shares) given.shares = from.shares;
  if (input.nanoCpus) {
    given.quota = Math.trunc((input.nanoCpus * CPU_PERIOD_US) / 1e9);
    given.period = CPU_PERIOD_US;
  }
  if (from.quota) given.quota = from.quota;
  if (from.period) given.period = from.period;
  if (from.realtimeRuntime) given.realtimeRuntime = from.realtimeRuntime;
  if (from.realtimePeriod) given.realtimePeriod = from.realtimePeriod;
  if (from.cpus) given.cpus = from.cpus;
  if (from.mems) given.mems = from.mems;
  return Object.keys(given).length === 0 ? undefined : given;
}

export function buildResources(input: SpecInput): SpecResources {
  const { resources, devices, security } = input;
  const cpus = cpu(resources);
  const pids = resources.pidsLimit;
  const extra = security.privileged
    ? [{ allow: true, access: 'rwm' }]
    : devices.rules.map((rule) => ({ ...rule }));
  return {
    devices: [...DEFAULT_RULES.map((rule) => ({ ...rule })), ...extra],
    memory: memory(resources),
    ...(cpus === undefined ? {} : { cpu: cpus }),
    // The specification has no "unlimited" but a negative number; 0 would be none at all for some runtimes.
    ...(pids === undefined || pids === 0 ? {} : { pids: { limit: pids } }),
    blockIO: { ...resources.blkio },
    ...(resources.hugepages?.length ? { hugepageLimits: resources.hugepages.map((h) => ({ ...h })) } : {}),
  };
}
