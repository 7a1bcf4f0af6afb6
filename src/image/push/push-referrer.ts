import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '#base/json.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import { MEDIA_TYPES, property, stringMap, textProperty } from '#oci/descriptor.ts';
import { type Digest, digestHex, isDigest } from '#oci/digest.ts';
import { repositoryName } from '#oci/reference.ts';
import type { PushContext } from './push-layer.ts';
import type { SentManifest } from './push-plan.ts';

/*
 * What a manifest points at by its `subject` is found again by a list that the registry keeps; it says so with
 * `OCI-Subject` in its answer. For one that does not, the client keeps that list, as an index under a tag that
 * is made of the subject's digest (distribution-spec, "Pushing Manifests with Subject", "Referrers Tag Schema").
 */

/** The manifest that this one points at. */
export function subjectOf(manifest: Uint8Array): Digest | null {
  const value = parseJson(new TextDecoder().decode(manifest), 'manifest');
  const subject = isJsonObject(value) ? property(value, 'subject') : undefined;
  const digest = isJsonObject(subject) ? property(subject, 'digest') : undefined;
  return isDigest(digest) ? digest : null;
}

function descriptorOf({ bytes, mediaType }: SentManifest, digest: Digest): JsonObject {
  const value = parseJson(bytes.toString(), 'manifest');
  const object = isJsonObject(value) ? value : {};
  const config = property(object, 'config');
  const artifactType =
    textProperty(object, 'artifactType') ||
    (isJsonObject(config) ? textProperty(config, 'mediaType') : undefined);
  const annotations = stringMap(property(object, 'annotations'));
  return {
    ...{ mediaType, digest, size: bytes.length },
    ...(artifactType !== undefined && { artifactType }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}

/**
 * The list with one more manifest in it; null: it is there already. What else stands in the list stays as it
 * is. Errors: `conflict` when the tag names something that is no such list, `tooLarge`.
 */
export function withReferrer(
  list: Uint8Array | null,
  manifest: SentManifest,
  digest: Digest,
): SentManifest | null {
  const mediaType = MEDIA_TYPES.ociIndex;
  const empty = { schemaVersion: 2, mediaType, manifests: [] };
  const value: JsonValue = list === null ? empty : parseJson(new TextDecoder().decode(list), 'referrers');
  const manifests = isJsonObject(value) ? property(value, 'manifests') : undefined;
  if (!isJsonObject(value) || !Array.isArray(manifests) || textProperty(value, 'mediaType') !== mediaType)
    throw new EngineError('conflict', 'the tag for its list names something else');
  if (manifests.some((one) => isJsonObject(one) && property(one, 'digest') === digest)) return null;
  const next = { ...value, manifests: [...manifests, descriptorOf(manifest, digest)] };
  const bytes = Buffer.from(JSON.stringify(next));
  if (bytes.length > LIMITS.manifestBytes)
    throw new EngineError('tooLarge', `its list has more than ${LIMITS.manifestBytes} bytes`);
  return { mediaType, bytes };
}

/**
 * After a push of `manifest`, to a registry that did not say that it keeps the list. The image is there whatever
 * becomes of the list, so a failure is told and is none of the push.
 */
export async function keepReferrer(
  { deps, repository, reference, signal, onProgress }: PushContext,
  manifest: SentManifest,
  digest: Digest,
): Promise<void> {
  const subject = subjectOf(manifest.bytes);
  if (subject === null) return;
  const tag = `sha256-${digestHex(subject)}`;
  try {
    // Two pushes of this daemon do not lose each other's entry; the specification has no way for two daemons.
    await deps.mutex.run(`referrers ${repositoryName(reference)}:${tag}`, async () => {
      const list = await repository.manifest(tag).catch((error: unknown) => {
        if (isEngineError(error, 'notFound')) return null;
        throw error;
      });
      if (list !== null) await checkJsonWeight(list.bytes, 'referrers', LIMITS.listValues);
      const next = withReferrer(list?.bytes ?? null, manifest, digest);
      if (next !== null) await repository.putManifest(tag, next);
    });
  } catch (error) {
    signal.throwIfAborted();
    onProgress({ status: `The registry does not list what refers to ${subject}: ${errorMessage(error)}` });
  }
}
