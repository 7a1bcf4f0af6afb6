import { Readable } from 'node:stream';
import { EngineError } from '#base/errors.ts';
import type { ChainId } from '#oci/chain-id.ts';
import { digestOf, type Digest } from '#oci/digest.ts';
import { parseImageConfig } from '#oci/image-config.ts';
import type { Lease } from '#storage/lease.ts';
import { collectLocked } from './collect.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { LayerSource } from './store/image-records.ts';

/** An image whose parts are all in the content store, ready to be unpacked and recorded. */
export interface NewImage {
  /** The config document, byte for byte. */
  readonly config: Buffer;
  /** Base first, one per diffID of the config. */
  readonly layerBlobs: readonly Digest[];
  readonly parent?: Digest;
  readonly onLayer?: (layer: { readonly chainId: ChainId; readonly sizeBytes: number }) => void;
}

/**
 * Runs an operation that brings in blobs and layers: what it leaves unused, or all of it after a failure, is
 * collected when the last such operation ends.
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
 * Unpacks the layers and records the image; flushed in this order: blobs, their names, layer records, image
 * record.
 */
export async function registerImage(deps: ImageDeps, image: NewImage): Promise<Digest> {
  const { content, snapshotter } = deps.storage;
  const config = parseImageConfig(image.config);
  if (config.diffIds.length !== image.layerBlobs.length) {
    const counts = `expected ${image.layerBlobs.length}, got ${config.diffIds.length}`;
    throw new EngineError('invalidArgument', `invalid manifest, layers length mismatch: ${counts}`);
  }
  const id = digestOf(image.config);
  await content.ingest(Readable.from([image.config]), { digest: id });
  await content.sync();
  const layers: LayerSource[] = [];
  let parent: ChainId | null = null;
  for (const [index, diffId] of config.diffIds.entries()) {
    const blob = image.layerBlobs[index] as Digest;
    const layer = await snapshotter.commitLayer({ parent, diffId, blob });
    layers.push({ diffId, blob: layer.blob });
    image.onLayer?.({ chainId: layer.chainId, sizeBytes: layer.sizeBytes });
    parent = layer.chainId;
  }
  await snapshotter.sync();
  await deps.mutex.run(IMAGE_LOCK, async () => {
    if (deps.store.has(id)) return;
    await deps.store.add({ recordVersion: 1, id, parent: image.parent ?? '', layers });
  });
  return id;
}
