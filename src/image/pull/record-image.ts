import { Readable } from 'node:stream';
import type { ChainId } from '#oci/chain-id.ts';
import type { Reference } from '#oci/reference.ts';
import type { Digest } from '#oci/digest.ts';
import type { Lease } from '#storage/lease.ts';
import { IMAGE_LOCK, type ImageDeps } from '../deps.ts';
import type { ManifestSource } from '../store/image-records.ts';
import type { RemoteImage } from './resolve-manifest.ts';

/** The documents of an image, byte for byte: in the content store, their names not flushed. */
export async function keepDocuments(deps: ImageDeps, image: RemoteImage, lease: Lease): Promise<void> {
  const { content } = deps.storage;
  const documents = [
    { digest: image.id, bytes: image.configBytes },
    { digest: image.manifest.digest, bytes: image.manifest.bytes },
    ...(image.index === null ? [] : [{ digest: image.index.digest, bytes: image.index.bytes }]),
  ];
  for (const { digest, bytes } of documents)
    if (!(await content.has(digest))) await content.ingest(Readable.from([bytes]), { digest, lease });
}

function manifestOf({ manifest, index }: RemoteImage): ManifestSource {
  const { digest, mediaType } = manifest;
  return { digest, mediaType, ...(index !== null && { index: index.digest }) };
}

function sameManifest(a: ManifestSource | undefined, b: ManifestSource): boolean {
  return a?.digest === b.digest && a.mediaType === b.mediaType && a.index === b.index;
}

/** The lock is held, and so is everything that the image is made of. */
async function recordLocked(deps: ImageDeps, image: RemoteImage): Promise<void> {
  const manifest = manifestOf(image);
  const before = deps.store.record(image.id);
  if (before !== null) {
    if (!sameManifest(before.manifest, manifest)) await deps.store.add({ ...before, manifest });
    return;
  }
  const layers = image.config.diffIds.map((diffId, i) => {
    const layer = deps.storage.snapshotter.layer(image.chain[i] as ChainId);
    if (layer === null) throw new Error(`layer ${image.chain[i]} went while it was held`);
    return { diffId, blob: layer.blob };
  });
  await deps.store.add({ recordVersion: 1, id: image.id, parent: '', layers, manifest });
}

/** The image's record; its layers are here. Flushed: documents, layers, record, in this order. */
export async function recordImage(deps: ImageDeps, image: RemoteImage): Promise<void> {
  const { content, snapshotter } = deps.storage;
  const known = deps.store.record(image.id);
  if (known !== null && sameManifest(known.manifest, manifestOf(image))) return;
  await content.sync();
  await snapshotter.sync();
  await deps.mutex.run(IMAGE_LOCK, () => recordLocked(deps, image));
}

/**
 * The names of a pulled image: the repository with its digest, then the tag. True when the name that was
 * asked for stood for something else before.
 */
export async function nameImage(
  deps: ImageDeps,
  of: { readonly reference: Reference; readonly digest: Digest; readonly image: RemoteImage },
): Promise<boolean> {
  const { reference, digest, image } = of;
  const precise: Reference = { ...reference, tag: null, digest };
  return deps.mutex.run(IMAGE_LOCK, async () => {
    // Somebody may have removed it a moment ago; what it is made of is held.
    await recordLocked(deps, image);
    // A pull is no tagging: it leaves the time of the last one alone.
    const set = async (name: Reference): Promise<boolean> => {
      if (deps.store.lookup(name) === image.id) return false;
      await deps.store.tag(name, image.id, '');
      return true;
    };
    const isNew = await set(precise);
    return reference.tag === null ? isNew : set({ ...reference, digest: null });
  });
}
