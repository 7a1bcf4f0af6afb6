import { checkFilterKeys, matchLabels, type Filters } from '#api/filters.ts';
import { isEngineError } from '#base/errors.ts';
import { invalid } from './normalize/fields.ts';
import { sizesOf } from './inspect.ts';
import { removeContainer } from './remove.ts';
import type { Room } from './room.ts';
import { countsAsRunning } from './state.ts';

const ACCEPTED: ReadonlySet<string> = new Set(['label', 'label!', 'until']);

function untilMs(values: readonly string[]): number {
  const [value] = values;
  if (value === undefined) return Number.POSITIVE_INFINITY;
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  if (!Number.isNaN(date)) return date;
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(h|m|s)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== value)
    throw invalid(`invalid filter 'until=${value}'`);
  const unit: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000 };
  return Date.now() - parts.reduce((sum, part) => sum + Number(part[1]) * (unit[part[2] ?? 's'] ?? 0), 0);
}

/** Removes what does not run. */
export async function pruneContainers(
  room: Room,
  filters: Filters,
): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
  checkFilterKeys(filters, ACCEPTED);
  const limit = untilMs(filters.get('until') ?? []);
  const unwanted = filters.get('label!') ?? [];
  const deleted: string[] = [];
  let bytes = 0;
  for (const { record } of room.ledger.entries()) {
    const { Labels } = record.config;
    if (countsAsRunning(record.state.status) || Date.parse(record.created) >= limit) continue;
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
