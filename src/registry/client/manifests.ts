import { LIMITS } from '#base/limits.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { digestOf, isDigest, type Digest } from '#oci/digest.ts';
import type { FetchedManifest, ManifestHead } from '../client.ts';
import { readDocument, type Answer, type Wire } from '../transport/exchange.ts';
import { requestError } from '../transport/go-errors.ts';
import { answerError } from './answer-error.ts';

/* What answers about manifests say, and whether it may be believed. */

export const ACCEPT_MANIFESTS = [
  MEDIA_TYPES.dockerManifest,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
].join(', ');

export function isSuccess(answer: Answer): boolean {
  return answer.status >= 200 && answer.status < 300;
}

function mediaTypeOf(answer: Answer): string {
  return (answer.headers['content-type'] ?? '').replace(/;.*$/s, '').trim();
}

function statedDigest(answer: Answer): string | null {
  const header = answer.headers['docker-content-digest'];
  return typeof header === 'string' && header !== '' ? header : null;
}

/** Null: it does not say enough; the manifest itself has to be asked for. */
export function headOf(answer: Answer, reference: string): ManifestHead | null {
  if (!isSuccess(answer)) return null;
  const digest = statedDigest(answer);
  const length = answer.headers['content-length'];
  if (!isDigest(digest) || (isDigest(reference) && digest !== reference)) return null;
  if (length === undefined || !/^\d{1,15}$/.test(length)) return null;
  return { mediaType: mediaTypeOf(answer), digest, sizeBytes: Number(length) };
}

/** Reads a manifest and holds it against what was asked for. */
export async function readManifest(
  answer: Answer,
  asked: { readonly reference: string; readonly from: string },
  wire: Wire,
): Promise<FetchedManifest> {
  if (!isSuccess(answer)) throw await answerError(answer, wire);
  const bytes = await readDocument(answer, wire, LIMITS.manifestBytes);
  if (bytes === null) {
    throw requestError(answer, `the manifest is larger than ${LIMITS.manifestBytes} bytes`, {
      permanent: true,
    });
  }
  const digest: Digest = digestOf(bytes);
  const expected = isDigest(asked.reference) ? asked.reference : statedDigest(answer);
  if (isDigest(expected) && expected !== digest) {
    throw requestError(answer, `manifest verification failed for digest ${expected}`, {
      permanent: true,
      hint: `What came has the digest ${digest}.`,
    });
  }
  return { bytes, mediaType: mediaTypeOf(answer), digest, from: asked.from };
}
