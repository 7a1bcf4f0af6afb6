import { LIMITS } from '#base/limits.ts';
import { MEDIA_TYPES, type Descriptor } from '#oci/descriptor.ts';
import type { Digest } from '#oci/digest.ts';
import { parseManifestOrIndex } from '#oci/manifest.ts';
import type { Lease } from '#storage/lease.ts';
import type { ImageDeps } from '../deps.ts';
import type { ImageRecord } from '../store/image-records.ts';
import { isManifestOf, type SentLayer, type SentManifest } from './push-plan.ts';

/** A manifest that is here already, and the layers that it names, base first. */
export interface KeptManifest {
  readonly manifest: SentManifest;
  readonly layers: readonly SentLayer[];
}

const FORMS: ReadonlyMap<string, SentLayer['form']> = new Map([
  [MEDIA_TYPES.ociLayer, 'none'],
  [MEDIA_TYPES.ociLayerZstd, 'zstd'],
]);

function sentLayer({ digest, sizeBytes, mediaType }: Descriptor): SentLayer {
  return { digest, sizeBytes, form: FORMS.get(mediaType) ?? 'gzip' };
}

/** What an image came with, if all that it names is here; the lease holds it. */
export async function keptManifest(
  { storage }: Pick<ImageDeps, 'storage'>,
  record: ImageRecord,
  lease: Lease,
): Promise<KeptManifest | null> {
  const { content } = storage;
  const source = record.manifest;
  if (source === undefined) return null;
  lease.hold(source.digest);
  if (!(await content.has(source.digest))) return null;
  const bytes = await content.readAll(source.digest, LIMITS.manifestBytes);
  const manifest = parseManifestOrIndex(bytes);
  if (manifest.kind !== 'manifest') return null;
  const here = new Set<Digest>();
  for (const { digest } of manifest.layers) {
    lease.hold(digest);
    if (await content.has(digest)) here.add(digest);
  }
  const diffIds = record.layers.map((layer) => layer.diffId);
  if (!isManifestOf(manifest, { id: record.id, diffIds, here })) return null;
  return { manifest: { mediaType: source.mediaType, bytes }, layers: manifest.layers.map(sentLayer) };
}
