import type { Descriptor } from '#oci/descriptor.ts';
import type { Digest } from '#oci/digest.ts';
import type { BlobBody, BlobName, FetchedManifest, ManifestHead } from './client.ts';

/** Who may come in. */
export interface RegistryAccess {
  /** `authorization` is the request's header. `busy`: too many are being checked already. */
  check(authorization: string | undefined): Promise<'granted' | 'refused' | 'busy'>;
}

/** The part of a registry client's `Repository` that a pull-through cache asks. */
export interface UpstreamRepository {
  head(reference: string): Promise<ManifestHead>;
  manifest(reference: string): Promise<FetchedManifest>;
  blob(want: BlobName, from: { readonly offset: number; readonly signal: AbortSignal }): Promise<BlobBody>;
  referrers(digest: Digest, signal: AbortSignal): Promise<readonly Descriptor[]>;
}
