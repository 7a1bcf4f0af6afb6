import { checkFilterKeys, matchLabels, type Filters } from '#api/filters.ts';
import { pruneUntilMs } from '#api/timestamp.ts';
import { isEngineError } from '#base/errors.ts';
import { sizesOf } from './inspect.ts';
import { removeContainer } from './remove.ts';
import type { Room } from './room.ts';
import { countsAsRunning } from './state.ts';

const ACCEPTED: ReadonlySet<string> = new Set(['label', 'label!', 'until']);

/** Removes what does not run. */
export async function pruneContainers(
  room: Room,
  filters: Filters,
): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
  checkFilterKeys(filters, ACCEPTED);
  const until = pruneUntilMs(filters.get('until'), { nowMs: Date.now(), kind: 'invalidArgument' });
  const unwanted = filters.get('label!') ?? [];
  const deleted: string[] = [];
  let bytes = 0;
  for (const { record } of room.ledger.entries()) {
    const { Labels } = record.config;
    if (countsAsRunning(record.state.status)) continue;
    if (until !== null && Date.parse(record.created) > until) continue;
    if (
      !matchLabels(filters.get('label') ?? [], Labels) ||
      (unwanted.length > 0 && matchLabels(unwanted, Labels))
    )
      continue;
    try {
      const { writableBytes } = await sizesOf(room, record);
      await removeContainer(room, record.id, { force: false, volumes: false, link: false });
      bytes += writableBytes;
      deleted.push(record.id);
    } catch (error) {
      // Started or removed by somebody else meanwhile.
      if (!isEngineError(error, 'conflict') && !isEngineError(error, 'notFound')) throw error;
    }
  }
  return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: bytes };
}
