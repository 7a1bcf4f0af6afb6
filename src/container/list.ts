import type { JsonObject } from '#base/json.ts';
import { isEngineError } from '#base/errors.ts';
import { networkIdOf, sizesOf } from './inspect.ts';
import { compileFilters, impliesAll } from './list/filters.ts';
import { listedPorts, renderSummary } from './list/summary.ts';
import type { ListRequest } from './container-service.ts';
import type { ContainerRecord } from './record.ts';
import type { Entry } from './record/ledger.ts';
import { parseTimeNanos } from './record/time.ts';
import type { Room } from './room.ts';
import { countsAsRunning } from './state.ts';

/** Newest first. */
export function byAge(a: Entry, b: Entry): number {
  const [left, right] = [parseTimeNanos(a.record.created) ?? 0n, parseTimeNanos(b.record.created) ?? 0n];
  return left < right ? 1 : left > right ? -1 : 0;
}

async function imageIds(room: Pick<Room, 'deps'>, reference: string): Promise<ReadonlySet<string> | null> {
  try {
    return new Set([(await room.deps.images.resolve(reference)).id]);
  } catch (error) {
    if (isEngineError(error)) return null;
    throw error;
  }
}

/** A name that moved on to another image is replaced by the id that the container was made from. */
async function imageName(room: Pick<Room, 'deps'>, record: ContainerRecord): Promise<string> {
  const ids = await imageIds(room, record.config.Image);
  return ids?.has(record.imageId) === true ? record.config.Image : record.imageId;
}

/** Errors: `invalidArgument` for filters, `notFound` for what `before` and `since` name. */
export async function listContainers(room: Room, request: ListRequest): Promise<readonly JsonObject[]> {
  const { ledger, deps } = room;
  const idOf = networkIdOf(room);
  const matches = await compileFilters(request.filters, {
    find: (reference) => ledger.find(reference).record,
    imageIds: (reference) => imageIds(room, reference),
    networkIdOf: idOf,
    portsOf: (record) => listedPorts({ record, sandbox: ledger.byId(record.id)?.sandbox ?? null }),
  });
  const all = request.all || request.limit > 0 || impliesAll(request.filters);
  const chosen = ledger
    .entries()
    .filter((entry) => (all || countsAsRunning(entry.record.state.status)) && matches(entry.record))
    .sort(byAge);
  const limited = request.limit > 0 ? chosen.slice(0, request.limit) : chosen;
  const nowMs = deps.clock.nowMs();
  return await Promise.all(
    limited.map(async ({ record, sandbox }) =>
      renderSummary({
        record,
        sandbox,
        nowMs,
        networkIdOf: idOf,
        sizes: request.size ? await sizesOf(room, record) : null,
        imageName: await imageName(room, record),
      }),
    ),
  );
}
