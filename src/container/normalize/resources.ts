import * as messages from '#api/messages.ts';
import type { HostConfig, ThrottleDevice, Ulimit, WeightDevice } from '../record.ts';
import type { MachineFacts } from '../ports.ts';
import { invalid, type Fields } from './fields.ts';

const MINIMUM_MEMORY = 6 * 1024 * 1024;

export type Resources = Pick<
  HostConfig,
  | 'CpuShares'
  | 'Memory'
  | 'NanoCpus'
  | 'CgroupParent'
  | 'BlkioWeight'
  | 'BlkioWeightDevice'
  | 'BlkioDeviceReadBps'
  | 'BlkioDeviceWriteBps'
  | 'BlkioDeviceReadIOps'
  | 'BlkioDeviceWriteIOps'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'CpuRealtimePeriod'
  | 'CpuRealtimeRuntime'
  | 'CpusetCpus'
  | 'CpusetMems'
  | 'MemoryReservation'
  | 'MemorySwap'
  | 'MemorySwappiness'
  | 'OomKillDisable'
  | 'PidsLimit'
  | 'Ulimits'
  | 'CpuCount'
  | 'CpuPercent'
  | 'IOMaximumIOps'
  | 'IOMaximumBandwidth'
>;

/** Ranges such as `0-3,5`; null when malformed. */
function parseCpuSet(text: string): readonly number[] | null {
  const members: number[] = [];
  for (const part of text.split(',')) {
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (range === null) return null;
    const low = Number(range[1]);
    const high = Number(range[2] ?? low);
    if (high < low || high > 8191) return null;
    for (let cpu = low; cpu <= high; cpu++) members.push(cpu);
  }
  return members;
}

function checkCpuSet(
  text: string,
  options: { what: 'cpus' | 'mems'; thing: 'CPUs' | 'memory nodes'; available: number },
): void {
  if (text === '') return;
  const members = parseCpuSet(text);
  if (members === null) throw invalid(messages.cpusetInvalid(options.what, text));
  if (members.some((member) => member >= options.available)) {
    const range = options.available === 1 ? '0' : `0-${options.available - 1}`;
    throw invalid(messages.cpusetUnavailable(options.thing, text, range));
  }
}

function checkMemory(wish: {
  memory: number;
  swap: number;
  reservation: number;
  swappiness: number | null;
}): void {
  const { memory, swap, reservation, swappiness } = wish;
  if (memory !== 0 && memory < MINIMUM_MEMORY) throw invalid(messages.memoryTooSmall());
  if (memory > 0 && swap > 0 && swap < memory) throw invalid(messages.swapBelowMemory());
  if (memory === 0 && swap > 0) throw invalid(messages.swapWithoutMemory());
  if (swappiness !== null && (swappiness < -1 || swappiness > 100)) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (reservation > 0 && reservation < MINIMUM_MEMORY)
    throw invalid('Minimum memory reservation allowed is 6MB');
  if (memory > 0 && reservation > 0 && memory < reservation) {
    throw invalid(messages.memoryBelowReservation());
  }
}

function checkCpu(fields: Fields, facts: MachineFacts): void {
  const nano = fields.integer('NanoCpus');
  const period = fields.integer('CpuPeriod');
  const quota = fields.integer('CpuQuota');
  if (nano > 0 && period > 0)
    throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (nano > 0 && quota > 0) throw invalid(messages.cpusAndQuota());
  if (nano < 0 || nano > facts.cpus * 1e9) {
    throw invalid(
      `range of CPUs is from 0.01 to ${facts.cpus}.00, as there are only ${facts.cpus} CPUs available`,
    );
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    throw invalid(messages.cpuPeriodRange());
  }
  if (quota > 0 && quota < 1000) throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (fields.integer('CpuShares') < 0) throw invalid('CPU shares cannot be negative');
  if (fields.integer('CpuPercent') > 0) throw invalid('CPU percent is not supported on this platform');
  checkCpuSet(fields.text('CpusetCpus'), { what: 'cpus', thing: 'CPUs', available: facts.cpus });
  checkCpuSet(fields.text('CpusetMems'), { what: 'mems', thing: 'memory nodes', available: 1 });
}

function throttles(fields: Fields, key: string): readonly ThrottleDevice[] | null {
  return (
    fields.objects(key)?.map((item) => ({ Path: item.text('Path'), Rate: item.integer('Rate') })) ?? null
  );
}

function blockWeight(
  fields: Fields,
  facts: MachineFacts,
  warnings: string[],
): { weight: number; devices: readonly WeightDevice[] | null } {
  const weight = fields.integer('BlkioWeight');
  const devices =
    fields
      .objects('BlkioWeightDevice')
      ?.map((item) => ({ Path: item.text('Path'), Weight: item.integer('Weight') })) ?? null;
  if (!facts.hasBlkioWeight) {
    if (weight > 0) warnings.push(messages.blkioWeightDiscarded());
    if (devices !== null && devices.length > 0) {
      warnings.push(
        'Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.',
      );
    }
    return { weight: 0, devices: devices === null ? null : [] };
  }
  if (weight > 0 && (weight < 10 || weight > 1000)) throw invalid('Range of blkio weight is from 10 to 1000');
  return { weight, devices };
}

function parseUlimits(fields: Fields): readonly Ulimit[] | null {
  return (
    fields.objects('Ulimits')?.map((item) => {
      const limit = { Name: item.text('Name'), Hard: item.integer('Hard'), Soft: item.integer('Soft') };
      if (!/^[a-z]+$/.test(limit.Name)) throw invalid(`invalid ulimit type: ${limit.Name}`);
      if (limit.Hard !== -1 && (limit.Soft === -1 || limit.Soft > limit.Hard)) {
        throw invalid(
          `ulimit soft limit must be less than or equal to hard limit: ${limit.Soft} > ${limit.Hard}`,
        );
      }
      return limit;
    }) ?? null
  );
}

/** A container's own limits, and the engine's for what it does not name. */
export function mergeUlimits(
  own: readonly Ulimit[] | null,
  defaults: readonly Ulimit[],
): Resources['Ulimits'] {
  const named = new Set((own ?? []).map(({ Name }) => Name));
  const added = defaults.filter(({ Name }) => !named.has(Name));
  return added.length === 0 ? own : [...(own ?? []), ...added];
}

/** The limits of a create body. Errors: `invalidArgument`; what the kernel cannot do becomes a warning. */
export function parseResources(fields: Fields, facts: MachineFacts, warnings: string[]): Resources {
  const memory = fields.integer('Memory');
  const swap = fields.integer('MemorySwap');
  const reservation = fields.integer('MemoryReservation');
  const swappiness = fields.optionalInteger('MemorySwappiness');
  checkMemory({ memory, swap, reservation, swappiness });
  checkCpu(fields, facts);
  const block = blockWeight(fields, facts, warnings);
  const pids = fields.optionalInteger('PidsLimit');
  const parent = fields.text('CgroupParent');
  return {
    CpuShares: fields.integer('CpuShares') === 1 ? 2 : Math.min(fields.integer('CpuShares'), 262_144),
    Memory: memory,
    NanoCpus: fields.integer('NanoCpus'),
    CgroupParent: parent,
    BlkioWeight: block.weight,
    BlkioWeightDevice: block.devices,
    BlkioDeviceReadBps: throttles(fields, 'BlkioDeviceReadBps'),
    BlkioDeviceWriteBps: throttles(fields, 'BlkioDeviceWriteBps'),
    BlkioDeviceReadIOps: throttles(fields, 'BlkioDeviceReadIOps'),
    BlkioDeviceWriteIOps: throttles(fields, 'BlkioDeviceWriteIOps'),
    CpuPeriod: fields.integer('CpuPeriod'),
    CpuQuota: fields.integer('CpuQuota'),
    CpuRealtimePeriod: fields.integer('CpuRealtimePeriod'),
    CpuRealtimeRuntime: fields.integer('CpuRealtimeRuntime'),
    CpusetCpus: fields.text('CpusetCpus'),
    CpusetMems: fields.text('CpusetMems'),
    MemoryReservation: reservation,
    MemorySwap: memory > 0 && swap === 0 ? memory * 2 : swap,
    MemorySwappiness: swappiness === -1 || facts.cgroupVersion === 2 ? null : swappiness,
    OomKillDisable: facts.cgroupVersion === 2 ? null : fields.flag('OomKillDisable'),
    // 0 and every negative number mean unlimited.
    PidsLimit: pids === null || pids <= 0 ? null : pids,
    Ulimits: parseUlimits(fields),
    CpuCount: fields.integer('CpuCount'),
    CpuPercent: fields.integer('CpuPercent'),
    IOMaximumIOps: fields.integer('IOMaximumIOps'),
    IOMaximumBandwidth: fields.integer('IOMaximumBandwidth'),
  };
}
