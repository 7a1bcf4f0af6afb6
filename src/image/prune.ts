import { collectLocked } from './collect.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { ImageFilters, RemovedImage } from './image-service.ts';
import { planPrune } from './plan-prune.ts';
import { expirePartials } from './pull.ts';
import { removeUnused } from './remove.ts';

export interface PruneResult {
  readonly deleted: readonly RemovedImage[];
  readonly spaceReclaimedBytes: number;
}

/**
 * Removes images without a name, or with `dangling=false` every one that no container uses; and what pulls
 * that were interrupted have brought.
 */
export async function pruneImages(deps: ImageDeps, filters: ImageFilters): Promise<PruneResult> {
  return deps.mutex.run(IMAGE_LOCK, async () => {
    const before = unpackedBytes(deps);
    const deleted: RemovedImage[] = [];
    await expirePartials(deps, 0);
    await collectLocked(deps);
    for (const { Id } of planPrune(deps, filters).Images) {
      // A parent may have gone with its child.
      if (deps.store.has(Id)) deleted.push(...(await removeUnused(deps, Id)));
    }
    return { deleted, spaceReclaimedBytes: before - unpackedBytes(deps) };
  });
}

function unpackedBytes(deps: ImageDeps): number {
  return deps.storage.snapshotter.layers().reduce((sum, layer) => sum + layer.sizeBytes, 0);
}
