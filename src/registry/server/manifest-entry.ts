import { digestOf } from '#oci/digest.ts';
import type { ManifestDocument } from './manifest-document.ts';
import type { ManifestEntry } from './repository-index.ts';

/** What the index keeps of a manifest that was pushed. */
export function manifestEntry(bytes: Uint8Array, document: ManifestDocument): ManifestEntry {
  return {
    content: digestOf(bytes),
    sizeBytes: bytes.length,
    mediaType: document.mediaType,
    artifactType: document.artifactType,
    subject: document.subject,
    names: document.names.map(({ digest }) => digest),
    sizes: [],
    isPushed: true,
  };
}
