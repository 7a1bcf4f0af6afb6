import { isEngineError } from '#base/errors.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Digest } from '#oci/digest.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';

type CollectDeps = Pick<ImageDeps, 'store' | 'storage' | 'mutex' | 'log'>;

/**
 * Removes layers and blobs that no image, no container and no operation in progress needs; the caller holds
 * the image lock. While something is being loaded nothing is removed: the load's end collects. Returns the
 * layers that went, top first.
 */
export async function collectLocked(deps: CollectDeps): Promise<ChainId[]> {
  const { store, storage } = deps;
  const { snapshotter, content, leases } = storage;
  if (leases.count > 0) return [];
  const wanted = new Set<string>(store.ids().flatMap((id) => store.chain(id)));
  const removed = await removeLayers(deps, wanted);
  await snapshotter.sync();
  const blobs = new Set<Digest>(snapshotter.layers().map((layer) => layer.blob));
  for (const id of store.ids()) {
    blobs.add(id);
    for (const layer of store.record(id)?.layers ?? []) blobs.add(layer.blob);
  }
  for (const { digest } of await content.list()) if (!blobs.has(digest)) await content.remove(digest);
  return removed;
}

async function removeLayers(deps: CollectDeps, wanted: ReadonlySet<string>): Promise<ChainId[]> {
  const { snapshotter } = deps.storage;
  const removed: ChainId[] = [];
  for (;;) {
    const parents = new Set(snapshotter.layers().map((layer) => layer.parent));
    const tops = snapshotter
      .layers()
      .filter((layer) => !wanted.has(layer.chainId) && !parents.has(layer.chainId));
    let progress = false;
    for (const layer of tops) {
      try {
        await snapshotter.removeLayer(layer.chainId);
        removed.push(layer.chainId);
        progress = true;
      } catch (error) {
        // A container still stands on it.
        if (!isEngineError(error, 'conflict')) throw error;
      }
    }
    if (!progress) return removed;
  }
}

/** The same with the lock taken here. */
export function collectGarbage(deps: CollectDeps): Promise<ChainId[]> {
  return deps.mutex.run(IMAGE_LOCK, () => collectLocked(deps));
}
