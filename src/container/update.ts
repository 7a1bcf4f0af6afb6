import * as messages from '#api/messages.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { JsonObject } from '#base/json.ts';
import { Fields } from './normalize/fields.ts';
import { parseResources, type Resources } from './normalize/resources.ts';
import { parseRestartPolicy } from './normalize/restart-policy.ts';
import type { ContainerRecord, HostConfig } from './record.ts';
import type { Entry } from './record/ledger.ts';
import { tell, type Room } from './room.ts';
import { readResources } from './start/resources.ts';
import { hasProcess } from './state.ts';

/** What an update can change while a container runs, besides its restart policy. */
const CHANGEABLE = [
  'BlkioWeight',
  'CpuShares',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'CpusetCpus',
  'CpusetMems',
  'Memory',
  'MemoryReservation',
  'MemorySwap',
  'PidsLimit',
] as const satisfies readonly (keyof Resources)[];

function cannotUpdate(record: ContainerRecord, reason: string): EngineError {
  return new EngineError('conflict', messages.cannotUpdate(record.id, reason));
}

/** The limits that the body names; zero and empty mean "leave as it is". */
function wishedLimits(
  room: Pick<Room, 'deps'>,
  body: JsonObject,
  record: ContainerRecord,
): Partial<Resources> {
  const { hostConfig: host } = record;
  const given = new Fields(body);
  const swap = given.integer('MemorySwap');
  // Swap alone is fine where there is a memory limit already.
  const memory = given.integer('Memory') || (swap > 0 ? host.Memory : 0);
  const parsed = parseResources(new Fields({ ...body, Memory: memory }), room.deps.facts, []);
  const isGiven = (key: (typeof CHANGEABLE)[number]): boolean => {
    const value = given.raw(key);
    return value !== undefined && value !== '' && (value !== 0 || key === 'PidsLimit');
  };
  const wish = Object.fromEntries(CHANGEABLE.filter(isGiven).map((key) => [key, parsed[key]]));
  if (swap !== 0) wish['MemorySwap'] = swap;
  else if (given.integer('Memory') > 0) delete wish['MemorySwap'];
  return wish;
}

/** Errors: `conflict` for what does not go together with the limits that are there. */
function checkTogether(record: ContainerRecord, wish: Partial<Resources>): void {
  const { hostConfig: host } = record;
  if (wish.NanoCpus !== undefined && (host.CpuPeriod > 0 || host.CpuQuota > 0)) {
    throw cannotUpdate(
      record,
      'Conflicting options: Nano CPUs cannot be updated as CPU Period or Quota has already been set',
    );
  }
  if ((wish.CpuPeriod !== undefined || wish.CpuQuota !== undefined) && host.NanoCpus > 0) {
    throw cannotUpdate(
      record,
      'Conflicting options: CPU Period or Quota cannot be updated as NanoCPUs has already been set',
    );
  }
  if (wish.Memory === undefined || wish.MemorySwap !== undefined) return;
  if (host.MemorySwap > 0 && wish.Memory > host.MemorySwap)
    throw cannotUpdate(record, messages.memoryAboveOldSwap());
}

function changedPolicy(body: JsonObject, host: HostConfig): HostConfig['RestartPolicy'] {
  const given = new Fields(body);
  const name = given.object('RestartPolicy')?.text('Name') ?? '';
  if (name === '') return host.RestartPolicy;
  return parseRestartPolicy(given);
}

/** New limits first reach the kernel, then the record. Two flushes. Errors: `invalidArgument`, `conflict`. */
export async function updateContainer(
  room: Room,
  reference: string,
  body: JsonObject | null,
): Promise<{ readonly Warnings: readonly string[] | null }> {
  const { ledger } = room;
  await ledger.locked(reference, async (entry) => {
    const { record } = entry;
    const wish = wishedLimits(room, body ?? {}, record);
    const policy = changedPolicy(body ?? {}, record.hostConfig);
    if (entry.removing || record.state.status === 'dead')
      throw cannotUpdate(record, 'container is marked for removal and cannot be "update"');
    if (record.hostConfig.AutoRemove && policy.Name !== 'no')
      throw cannotUpdate(
        record,
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    checkTogether(record, wish);
    const hostConfig = { ...record.hostConfig, ...wish, RestartPolicy: policy };
    const undo = hasProcess(record.state.status)
      ? await applyNow(room, entry, { wish, hostConfig })
      : async () => undefined;
    entry.record = { ...entry.record, hostConfig };
    try {
      await ledger.commit(entry);
    } catch (error) {
      await takeBack(room, entry, { hostConfig: record.hostConfig, undo });
      throw error;
    }
    tell(room, entry, { action: 'update' });
  });
  return { Warnings: null };
}

/** What could not be recorded is not the case: neither for the next inspect nor in the kernel. */
async function takeBack(
  room: Pick<Room, 'deps' | 'ledger'>,
  entry: Entry,
  before: { readonly hostConfig: HostConfig; readonly undo: () => Promise<void> },
): Promise<void> {
  entry.record = { ...entry.record, hostConfig: before.hostConfig };
  // A group commit may have written the new limits meanwhile.
  room.ledger.commitSoon(entry);
  await before.undo().catch((error: unknown) =>
    room.deps.log.error('limits that could not be recorded could not be taken back', {
      id: entry.record.id,
      reason: errorMessage(error),
    }),
  );
}

/** The kernel gets what was asked for, and swap together with the memory it counts in. */
async function applyNow(
  room: Pick<Room, 'deps'>,
  entry: Entry,
  change: { readonly wish: Partial<Resources>; readonly hostConfig: HostConfig },
): Promise<() => Promise<void>> {
  const { record } = entry;
  const { wish, hostConfig } = change;
  if (Object.keys(wish).length === 0) return async () => undefined;
  const memory = wish.Memory !== undefined || wish.MemorySwap !== undefined;
  const none = {
    CpuShares: 0,
    NanoCpus: 0,
    CpuPeriod: 0,
    CpuQuota: 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
  };
  const asked: HostConfig = {
    ...hostConfig,
    ...none,
    ...{ CpusetCpus: '', CpusetMems: '', BlkioWeight: 0, MemoryReservation: 0, PidsLimit: null },
    ...wish,
    ...(memory && { Memory: hostConfig.Memory, MemorySwap: hostConfig.MemorySwap }),
    ...(!memory && { Memory: 0, MemorySwap: 0 }),
  };
  const limits = await readResources(asked);
  const unlimitedPids = Object.hasOwn(wish, 'PidsLimit') && wish.PidsLimit === null;
  try {
    return await room.deps.tasks.update(record.id, { ...limits, ...(unlimitedPids && { pidsLimit: -1 }) });
  } catch (error) {
    throw new EngineError('internal', messages.cannotUpdate(record.id, errorMessage(error)), {
      cause: error,
    });
  }
}
