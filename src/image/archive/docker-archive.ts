import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { archiveListShape } from '#oci/document-shapes.ts';
import { readShaped } from '#oci/go-json.ts';
import type { Reference } from '#oci/reference.ts';
import { parseReference } from '#oci/reference.ts';
import type { ArchiveIndex, ArchiveLayer } from './archive-index.ts';

/** An image that an archive offers. */
export interface OfferedImage {
  readonly config: Buffer;
  /** Base first. */
  readonly layers: readonly ArchiveLayer[];
  readonly names: readonly Reference[];
}

export const DOCKER_MANIFEST = 'manifest.json';

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

function textList(value: JsonValue | undefined, what: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw invalid(`invalid manifest: bad ${what}`);
  return value;
}

function taggedName(text: string): Reference {
  const reference = parseReference(text);
  if (reference.tag === null) throw invalid(`invalid tag ${JSON.stringify(text)}`);
  return { ...reference, digest: null };
}

/** Each image costs more than its few bytes in the list. Errors: `tooLarge`. */
export function checkImageCount(count: number): void {
  if (count > LIMITS.archiveImages)
    throw new EngineError('tooLarge', `image archive names more than ${LIMITS.archiveImages} images`);
}

/**
 * Reads `manifest.json` of `docker save`. An image is its config: those that name the same one are one image
 * with all their names. Errors: `invalidArgument`, `tooLarge`.
 */
export function readDockerArchive(index: ArchiveIndex): OfferedImage[] {
  const bytes = index.document(DOCKER_MANIFEST, LIMITS.manifestBytes);
  const reading = { what: DOCKER_MANIFEST, isStream: true, shape: archiveListShape };
  const manifest = readShaped(bytes, reading);
  if (manifest === null) throw invalid('invalid manifest, manifest cannot be null (but can be [])');
  if (!Array.isArray(manifest)) throw invalid('invalid manifest: it is not a list');
  checkImageCount(manifest.length);
  const images = new Map<Buffer, OfferedImage & { readonly names: Reference[] }>();
  for (const item of manifest) {
    if (!isJsonObject(item) || typeof item['Config'] !== 'string')
      throw invalid('invalid manifest: an image without a config');
    const layers = textList(item['Layers'], 'Layers');
    if (layers.length > LIMITS.layersPerImage)
      throw invalid(`invalid manifest: more than ${LIMITS.layersPerImage} layers`);
    const config = index.document(item['Config'], LIMITS.imageConfigBytes);
    const names = images.get(config)?.names ?? [];
    for (const text of textList(item['RepoTags'], 'RepoTags')) names.push(taggedName(text));
    images.set(config, { config, layers: layers.map((path) => index.layer(path)), names });
  }
  return [...images.values()];
}
