import type { Cgroups } from '#host/kernel.ts';
import type { SpecResources } from '#oci/runtime-spec.ts';
import { type ResourceWrite, resourceWrites } from '../launch-plan/resources.ts';
import type { ResourceInput } from '../spec-input.ts';

/** What a running container can be given anew. */
export type LimitChange = Pick<
  ResourceInput,
  'memoryBytes' | 'memoryReservationBytes' | 'memorySwapBytes' | 'nanoCpus' | 'cpu' | 'pidsLimit' | 'blkio'
>;

const CPU_PERIOD_US = 100_000;
const UNLIMITED = -1;

/** The change in the words of the specification: what is not in it stays as it is. */
function resourcesOf(change: LimitChange): SpecResources {
  const { memoryBytes, memoryReservationBytes, memorySwapBytes, nanoCpus, cpu, pidsLimit, blkio } = change;
  const time =
    nanoCpus === undefined
      ? {}
      : { quota: Math.trunc((nanoCpus * CPU_PERIOD_US) / 1e9), period: CPU_PERIOD_US };
  return {
    memory: {
      ...(memoryBytes !== undefined && { limit: memoryBytes }),
      ...(memoryReservationBytes !== undefined && { reservation: memoryReservationBytes }),
      ...(memorySwapBytes !== undefined && { swap: memorySwapBytes }),
    },
    cpu: { ...cpu, ...time },
    ...(pidsLimit !== undefined && { pids: { limit: pidsLimit > 0 ? pidsLimit : UNLIMITED } }),
    ...(blkio !== undefined && { blockIO: blkio }),
  };
}

/**
 * What to write, in this order, into the cgroup of a container. `memoryLimitNow`: what is there, in bytes.
 */
export function limitWrites(
  version: Cgroups['version'],
  change: LimitChange,
  memoryLimitNow: number,
): readonly ResourceWrite[] {
  return resourceWrites(version, resourcesOf(change), { memoryLimitNow });
}
