import { Readable } from 'node:stream';
import { EngineError } from '#base/errors.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { chainIds } from '#oci/chain-id.ts';
import { digestOf, type Digest } from '#oci/digest.ts';
import { parseImageConfig } from '#oci/image-config.ts';
import type { Lease } from '#storage/lease.ts';
import type { Layer, UnpackedLayer } from '#storage/snapshotter.ts';
import { collectLocked } from './collect.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { LayerSource } from './store/image-records.ts';

/** An image whose parts are all in the content store, ready to be unpacked and recorded. */
export interface NewImage {
  /** The config document, byte for byte. */
  readonly config: Buffer;
  /** Of the config, where somebody parsed it already: a large one costs a while. */
  readonly diffIds?: readonly Digest[];
  /** Base first, one per diffID of the config. */
  readonly layerBlobs: readonly Digest[];
  /**
   * Those of the layers that are unpacked already, by their place. What is not used is discarded by its
   * owner.
   */
  readonly unpacked?: ReadonlyMap<number, UnpackedLayer>;
  readonly parent?: Digest;
  /** Holds the blobs already; everything else that the image is made of is held by it from now on. */
  readonly lease: Lease;
}

/**
 * Runs an operation that brings in blobs and layers. What its lease holds by name is safe from collections
 * until it ends; what it leaves unused, or all of it after a failure, is collected then.
 */
export async function withLease<T>(deps: ImageDeps, work: (lease: Lease) => Promise<T>): Promise<T> {
  // Taken under the lock: a collection that is running must not miss what is about to come.
  const lease = await deps.mutex.run(IMAGE_LOCK, async () => deps.storage.leases.open());
  try {
    return await work(lease);
  } finally {
    await deps.mutex.run(IMAGE_LOCK, async () => {
      lease.release();
      await collectLocked(deps);
    });
  }
}

/**
 * Starts with all layers at once; each takes its place when the one below has its own. The signal ends those
 * that are not placed yet.
 */
function commitLayers(
  deps: ImageDeps,
  image: NewImage,
  of: { readonly diffIds: readonly Digest[]; readonly signal: AbortSignal },
): Promise<Layer>[] {
  const { snapshotter } = deps.storage;
  const chain = chainIds(of.diffIds);
  const unpacked = image.unpacked ?? new Map<number, UnpackedLayer>();
  const committing: Promise<Layer>[] = [];
  for (const [i, diffId] of of.diffIds.entries()) {
    const parent = chain[i - 1] ?? null;
    const below = committing[i - 1];
    const ready = unpacked.get(i);
    const commit = (): Promise<Layer> =>
      ready === undefined
        ? snapshotter.commitLayer({ parent, diffId, blob: image.layerBlobs[i] as Digest, signal: of.signal })
        : snapshotter.commitUnpacked({ parent, unpacked: ready });
    // What is unpacked wants its parent to be there; what is not may be unpacked meanwhile.
    const afterBelow = async (): Promise<Layer> => {
      await below;
      of.signal.throwIfAborted();
      return commit();
    };
    committing.push(unpacked.size === 0 ? commit() : afterBelow());
  }
  return committing;
}

/**
 * Unpacks the layers, side by side, and records the image; flushed in this order: blobs, their names, layer
 * records, image record.
 */
export async function registerImage(deps: ImageDeps, image: NewImage): Promise<Digest> {
  const { content, snapshotter } = deps.storage;
  // Also one that was made here, of a request: it is parsed again, unweighed, whenever the engine starts.
  await checkJsonWeight(image.config, 'image config');
  const diffIds = image.diffIds ?? parseImageConfig(image.config).diffIds;
  if (diffIds.length !== image.layerBlobs.length) {
    const counts = `expected ${image.layerBlobs.length}, got ${diffIds.length}`;
    throw new EngineError('invalidArgument', `invalid manifest, layers length mismatch: ${counts}`);
  }
  const id = digestOf(image.config);
  image.lease.hold(id, ...chainIds(diffIds), ...image.layerBlobs);
  await content.ingest(Readable.from([image.config]), { digest: id });
  await content.sync();
  const stop = new AbortController();
  const committing = commitLayers(deps, image, { diffIds, signal: stop.signal });
  const settled = Promise.allSettled(committing);
  const layers: LayerSource[] = [];
  try {
    for (const coming of committing) {
      const layer = await coming;
      layers.push({ diffId: layer.diffId, blob: layer.blob });
    }
  } finally {
    // After a failure nothing is written any more when it is told.
    stop.abort();
    await settled;
  }
  await snapshotter.sync();
  await deps.mutex.run(IMAGE_LOCK, async () => {
    if (deps.store.has(id)) return;
    await deps.store.add({ recordVersion: 1, id, parent: image.parent ?? '', layers });
  });
  return id;
}
