import { isEngineError } from '#base/errors.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Digest } from '#oci/digest.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { ImageRecord } from './store/image-records.ts';

type CollectDeps = Pick<ImageDeps, 'store' | 'storage' | 'mutex' | 'log' | 'unfinished' | 'notes'>;

/**
 * Removes layers and blobs that no image, no container, no interrupted pull and no operation in progress
 * needs; the caller holds the image lock, which leases are given back under. Returns the layers that went,
 * top first.
 */
export async function collectLocked(deps: CollectDeps): Promise<ChainId[]> {
  const { store, storage, unfinished, notes } = deps;
  const { snapshotter, content, leases } = storage;
  const kept = [...unfinished.roots()];
  const removed = await removeLayers(
    deps,
    new Set([...store.ids().flatMap((id) => store.chain(id)), ...kept]),
  );
  if (removed.length > 0) await snapshotter.sync();
  // What comes after this list is not looked at.
  const present = await content.digests();
  const wanted = new Set<string>([...kept, ...snapshotter.layers().map((layer) => layer.blob)]);
  for (const id of store.ids()) for (const blob of blobsOf(store.record(id), id)) wanted.add(blob);
  for (const digest of [...notes.belongings(wanted)]) wanted.add(digest);
  const gone: Digest[] = [];
  for (const digest of present) {
    // Asked in the very moment: a lease that is taken later does not find the blob any more.
    if (wanted.has(digest) || leases.isHeld(digest)) continue;
    gone.push(digest);
    await content.remove(digest);
  }
  await notes.forget(gone);
  return removed;
}

/** All that an image keeps in the content store. */
function blobsOf(record: ImageRecord | null, id: Digest): readonly Digest[] {
  const { manifest, layers = [] } = record ?? {};
  const documents = manifest === undefined ? [] : [manifest.digest, manifest.index ?? manifest.digest];
  return [id, ...documents, ...layers.map((layer) => layer.blob)];
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
        // A container stands on it, or somebody is about to use it.
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
