import { checkFilterKeys, matchLabels } from '#api/filters.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { Image, ImageFilters, RemovedImage } from './image-service.ts';
import { booleanFilter, createdMs, untilMs } from './list.ts';
import { removeUnused } from './remove.ts';

const PRUNE_FILTERS: ReadonlySet<string> = new Set(['dangling', 'label', 'label!', 'until']);

export interface PruneResult {
  readonly deleted: readonly RemovedImage[];
  readonly spaceReclaimedBytes: number;
}

/** Removes images without a name, or with `dangling=false` every one that no container uses. */
export async function pruneImages(deps: ImageDeps, filters: ImageFilters): Promise<PruneResult> {
  checkFilterKeys(filters, PRUNE_FILTERS);
  const onlyDangling = booleanFilter(filters, 'dangling') ?? true;
  const until = untilMs(filters);
  const wanted = (image: Image): boolean => {
    const { labels } = image.config.defaults;
    if (onlyDangling && deps.store.referencesOf(image.id).length > 0) return false;
    if (until !== null && createdMs(image) > until) return false;
    if (!matchLabels(filters.get('label') ?? [], labels)) return false;
    return !(filters.get('label!') ?? []).some((term) => matchLabels([term], labels));
  };
  return deps.mutex.run(IMAGE_LOCK, async () => {
    const before = unpackedBytes(deps);
    const deleted: RemovedImage[] = [];
    for (const id of deps.store.ids()) {
      const image = deps.store.get(id);
      // A parent may have gone with its child.
      if (image !== null && wanted(image)) deleted.push(...(await removeUnused(deps, id)));
    }
    return { deleted, spaceReclaimedBytes: before - unpackedBytes(deps) };
  });
}

function unpackedBytes(deps: ImageDeps): number {
  return deps.storage.snapshotter.layers().reduce((sum, layer) => sum + layer.sizeBytes, 0);
}
