import type { Cgroups } from '#host/kernel.ts';
import type { ResourceInput } from '../spec-input.ts';

/** One value for one file of a cgroup. */
export interface LimitWrite {
  /** v1 hierarchy; empty on v2. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

/** What a running container can be given anew. */
export type LimitChange = Pick<
  ResourceInput,
  'memoryBytes' | 'memoryReservationBytes' | 'memorySwapBytes' | 'nanoCpus' | 'cpu' | 'pidsLimit' | 'blkio'
>;

const CPU_PERIOD_US = 100_000;
const UNLIMITED = -1;

/** Quota and period as `--cpus` means them, or as given. */
function bandwidth({ nanoCpus, cpu }: LimitChange): { quota?: number; period?: number } {
  if (nanoCpus !== undefined) {
    return { quota: Math.trunc((nanoCpus * CPU_PERIOD_US) / 1e9), period: CPU_PERIOD_US };
  }
  return {
    ...(cpu?.quota !== undefined && { quota: cpu.quota }),
    ...(cpu?.period !== undefined && { period: cpu.period }),
  };
}

/** Memory with swap can never be below memory: the one that grows goes first. */
function memoryV1(change: LimitChange, limitNow: number): LimitWrite[] {
  const write = (file: string, value: number | undefined): LimitWrite[] =>
    value === undefined ? [] : [{ controller: 'memory', file, value: String(value) }];
  const limit = write('memory.limit_in_bytes', change.memoryBytes);
  const swap = write('memory.memsw.limit_in_bytes', change.memorySwapBytes);
  const grows = change.memoryBytes === UNLIMITED || (change.memoryBytes ?? 0) > limitNow;
  return [
    ...(grows ? [...swap, ...limit] : [...limit, ...swap]),
    ...write('memory.soft_limit_in_bytes', change.memoryReservationBytes),
  ];
}

function v1Writes(change: LimitChange, limitNow: number): LimitWrite[] {
  const write = (controller: string, file: string, value: number | string | undefined): LimitWrite[] =>
    value === undefined ? [] : [{ controller, file: `${controller}.${file}`, value: String(value) }];
  const { quota, period } = bandwidth(change);
  return [
    ...memoryV1(change, limitNow),
    ...write('cpu', 'shares', change.cpu?.shares),
    ...write('cpu', 'cfs_period_us', period),
    ...write('cpu', 'cfs_quota_us', quota),
    ...write('cpuset', 'cpus', change.cpu?.cpus),
    ...write('cpuset', 'mems', change.cpu?.mems),
    ...write('pids', 'max', pids(change)),
    ...write('blkio', 'weight', change.blkio?.weight),
  ];
}

function pids({ pidsLimit }: LimitChange): string | undefined {
  if (pidsLimit === undefined) return undefined;
  return pidsLimit > 0 ? String(pidsLimit) : 'max';
}

const bytes = (value: number): string => (value === UNLIMITED ? 'max' : String(value));

/** v2 counts swap alone, and weighs CPUs from 1 to 10000 where v1 has shares from 2 to 262144. */
function v2Writes(change: LimitChange): LimitWrite[] {
  const write = (file: string, value: string | undefined): LimitWrite[] =>
    value === undefined ? [] : [{ controller: '', file, value }];
  const { memoryBytes, memorySwapBytes, memoryReservationBytes, cpu } = change;
  const { quota, period } = bandwidth(change);
  const swap =
    memorySwapBytes === undefined || memoryBytes === undefined
      ? undefined
      : memorySwapBytes === UNLIMITED
        ? 'max'
        : String(memorySwapBytes - memoryBytes);
  const weight =
    cpu?.shares === undefined ? undefined : String(1 + Math.trunc(((cpu.shares - 2) * 9999) / 262_142));
  const time =
    quota === undefined && period === undefined
      ? undefined
      : `${quota === undefined || quota <= 0 ? 'max' : quota} ${period ?? CPU_PERIOD_US}`;
  return [
    ...write('memory.max', memoryBytes === undefined ? undefined : bytes(memoryBytes)),
    ...write('memory.swap.max', swap),
    ...write('memory.low', memoryReservationBytes === undefined ? undefined : bytes(memoryReservationBytes)),
    ...write('cpu.weight', weight),
    ...write('cpu.max', time),
    ...write('cpuset.cpus', cpu?.cpus),
    ...write('cpuset.mems', cpu?.mems),
    ...write('pids.max', pids(change)),
    ...write('io.weight', change.blkio?.weight === undefined ? undefined : String(change.blkio.weight)),
  ];
}

/**
 * What to write, in this order, into the cgroup of a container. `memoryLimitNow`: what is there, in bytes.
 */
export function limitWrites(
  version: Cgroups['version'],
  change: LimitChange,
  memoryLimitNow: number,
): readonly LimitWrite[] {
  return version === 'v2' ? v2Writes(change) : v1Writes(change, memoryLimitNow);
}
