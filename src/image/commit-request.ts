import type { Digest } from '#oci/digest.ts';
import type { ImageDefaults } from '#oci/image-config.ts';
import type { Reference } from '#oci/reference.ts';
import type { Blob } from '#storage/content-store.ts';
import type { Lease } from '#storage/lease.ts';

/** A new image: another one and a layer on top. */
export interface CommitRequest {
  readonly parent: Digest;
  readonly defaults: ImageDefaults;
  readonly author: string;
  readonly comment: string;
  /** What the history shows as the layer's command. */
  readonly createdBy: string;
  readonly target: Reference | null;
  /** Brings the layer's archive, not compressed; `lease` holds it. */
  readonly layer: (lease: Lease) => Promise<Blob>;
}
