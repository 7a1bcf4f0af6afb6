import type { Descriptor } from '#oci/descriptor.ts';
import type { Digest } from '#oci/digest.ts';
import type { Credentials } from './credentials.ts';

/*
 * The client end of the distribution protocol as its callers see it; `open.ts` makes one. Failures are
 * `RegistryError`s with the texts of the reference's client, or the signal's reason.
 */

export interface FetchedManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: Digest;
  /** The endpoint that gave it: `https://registry-1.docker.io`. */
  readonly from: string;
}

export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface BlobBody {
  /** Where the first chunk lies in the blob: 0 when the server did not heed the range. */
  readonly offset: number;
  /**
   * The rest of the blob. A connection that is lost is continued behind what was given; with a server that
   * knows no ranges what was given before is skipped, so a chunk never repeats bytes. Errors: `RegistryError`
   * when the attempts are used up, or the body is longer or shorter than `sizeBytes`.
   */
  readonly chunks: AsyncIterable<Buffer>;
}

export interface BlobName {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface BlobStart {
  readonly offset: number;
  readonly signal: AbortSignal;
  /** The connection was lost; it is tried again after so long. */
  readonly onRetry?: (delayMs: number) => void;
}

export interface PushedManifest {
  readonly digest: Digest;
  /** The registry lists it among those that refer to its subject. */
  readonly isListed: boolean;
}

export interface Repository {
  /** GET /v2/. */
  ping(): Promise<void>;
  /** HEAD, then GET where HEAD is refused or names no digest. */
  head(reference: string): Promise<ManifestHead>;
  /** By tag or digest; at most `LIMITS.manifestBytes`; the bytes have the digest that was asked for. */
  manifest(reference: string): Promise<FetchedManifest>;
  /** From the first endpoint that has it, best that of the manifest. The caller checks the digest. */
  blob(want: BlobName, from: BlobStart): Promise<BlobBody>;
  /** A small blob whole, its digest checked. */
  blobBytes(want: BlobName, maxBytes: number): Promise<Buffer>;
  /** The endpoint that gave this blob gave wrong bytes. True: another one may have the right ones. */
  distrust(digest: Digest): Promise<boolean>;
  hasBlob(digest: Digest): Promise<boolean>;
  /** Whether the registry took the blob over from another repository of its own. */
  mountBlob(digest: Digest, fromPath: string): Promise<boolean>;
  /** `open(offset)` gives the blob's bytes from there; it is called again when an upload is continued. */
  upload(
    blob: BlobName,
    open: (offset: number) => AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void>;
  putManifest(
    reference: string,
    document: { readonly mediaType: string; readonly bytes: Uint8Array },
  ): Promise<PushedManifest>;
  tags(signal: AbortSignal): AsyncIterable<string>;
  /** At most `LIMITS.descriptorsPerManifest` of `LIMITS.referrersPages` pages. */
  referrers(digest: Digest, signal: AbortSignal): Promise<readonly Descriptor[]>;
}

export interface RepositoryUse {
  readonly actions: 'pull' | 'pull,push';
  readonly credentials: Credentials | null;
  /** Ends everything that is under way. */
  readonly signal?: AbortSignal;
}

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly starCount: number;
  readonly isOfficial: boolean;
  readonly isAutomated: boolean;
}

/** Where somebody waits for his turn; to be given back once. */
export interface Slots {
  take(signal: AbortSignal): Promise<() => void>;
}

export interface RegistryClient {
  repository(name: { readonly domain: string; readonly path: string }, use: RepositoryUse): Repository;
  login(credentials: Credentials): Promise<{ readonly status: string; readonly identityToken: string }>;
  /** `index` is a domain, '' for Docker Hub. */
  search(
    index: string,
    query: { readonly term: string; readonly limit: number; readonly credentials: Credentials | null },
  ): Promise<readonly SearchResult[]>;
  /** Any http or https address, for imports. */
  fetchUrl(
    url: string,
    signal: AbortSignal,
  ): Promise<{ readonly sizeBytes: number | null; readonly chunks: AsyncIterable<Buffer> }>;
  /** `max-concurrent-downloads` and `max-concurrent-uploads`, counted over the whole daemon. */
  readonly downloads: Slots;
  readonly uploads: Slots;
  close(): void;
}
