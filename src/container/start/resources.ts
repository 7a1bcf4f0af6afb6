import type { ResourceInput } from '#runtime/spec.ts';
import type { HostConfig, ThrottleDevice } from '../record.ts';
import { deviceNumber } from './devices.ts';

type Throttle = { major: number; minor: number; rate: number };

async function throttles(list: readonly ThrottleDevice[] | null): Promise<Throttle[]> {
  return await Promise.all(
    (list ?? []).map(async (device) => ({ ...(await deviceNumber(device.Path)), rate: device.Rate })),
  );
}

/** The limits of a record in the runtime's terms: what is unset stays away. */
export async function readResources(host: HostConfig): Promise<ResourceInput> {
  const cpu = {
    ...(host.CpuShares !== 0 && { shares: host.CpuShares }),
    ...(host.CpuQuota !== 0 && { quota: host.CpuQuota }),
    ...(host.CpuPeriod !== 0 && { period: host.CpuPeriod }),
    ...(host.CpuRealtimeRuntime !== 0 && { realtimeRuntime: host.CpuRealtimeRuntime }),
    ...(host.CpuRealtimePeriod !== 0 && { realtimePeriod: host.CpuRealtimePeriod }),
    ...(host.CpusetCpus !== '' && { cpus: host.CpusetCpus }),
    ...(host.CpusetMems !== '' && { mems: host.CpusetMems }),
  };
  const readBps = await throttles(host.BlkioDeviceReadBps);
  const writeBps = await throttles(host.BlkioDeviceWriteBps);
  const readIops = await throttles(host.BlkioDeviceReadIOps);
  const writeIops = await throttles(host.BlkioDeviceWriteIOps);
  const weights = await Promise.all(
    (host.BlkioWeightDevice ?? []).map(async (device) => ({
      ...(await deviceNumber(device.Path)),
      weight: device.Weight,
    })),
  );
  const blkio = {
    ...(host.BlkioWeight !== 0 && { weight: host.BlkioWeight }),
    ...(weights.length > 0 && { weightDevice: weights }),
    ...(readBps.length > 0 && { throttleReadBpsDevice: readBps }),
    ...(writeBps.length > 0 && { throttleWriteBpsDevice: writeBps }),
    ...(readIops.length > 0 && { throttleReadIOPSDevice: readIops }),
    ...(writeIops.length > 0 && { throttleWriteIOPSDevice: writeIops }),
  };
  return {
    ...(host.Memory !== 0 && { memoryBytes: host.Memory }),
    ...(host.MemoryReservation !== 0 && { memoryReservationBytes: host.MemoryReservation }),
    ...(host.MemorySwap !== 0 && { memorySwapBytes: host.MemorySwap }),
    ...(host.MemorySwappiness !== null && { memorySwappiness: host.MemorySwappiness }),
    ...(host.OomKillDisable === true && { oomKillDisable: true }),
    ...(host.NanoCpus !== 0 && { nanoCpus: host.NanoCpus }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(host.PidsLimit !== null && { pidsLimit: host.PidsLimit }),
    ...(Object.keys(blkio).length > 0 && { blkio }),
    ulimits: (host.Ulimits ?? []).map((limit) => ({ name: limit.Name, soft: limit.Soft, hard: limit.Hard })),
  };
}
