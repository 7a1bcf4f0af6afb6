import type { Digest } from '#oci/digest.ts';
import type { Lease } from '#storage/lease.ts';
import type { ImageDeps } from '../deps.ts';
import type { LayerSource } from '../store/image-records.ts';
import type { SentLayer } from './push-plan.ts';

/** The kept archive of a layer as registries take it: as it is, or compressed once and kept, too. */
export async function sendableLayer(
  deps: Pick<ImageDeps, 'storage' | 'notes' | 'mutex'>,
  { blob }: LayerSource,
  how: { readonly lease: Lease; readonly signal: AbortSignal },
): Promise<SentLayer> {
  const { content, archives } = deps.storage;
  const form = await archives.formOf(blob);
  if (form === 'gzip' || form === 'zstd')
    return { digest: blob, sizeBytes: (await content.stat(blob)).sizeBytes, form };
  // Two pushes of one layer compress it once.
  return deps.mutex.run(`compress ${blob}`, async () => {
    const known = deps.notes.of(blob).compressed;
    const kept = known === null ? null : await keptBlob(deps, known, how.lease);
    if (kept !== null) return kept;
    const made = await archives.compress(blob, how);
    await deps.notes.isCompressedAs(blob, made.digest);
    return { ...made, form: 'gzip' };
  });
}

async function keptBlob(
  { storage }: Pick<ImageDeps, 'storage'>,
  digest: Digest,
  lease: Lease,
): Promise<SentLayer | null> {
  lease.hold(digest);
  if (!(await storage.content.has(digest))) return null;
  return { digest, sizeBytes: (await storage.content.stat(digest)).sizeBytes, form: 'gzip' };
}
