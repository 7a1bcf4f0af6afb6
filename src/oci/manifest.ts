import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import {
  malformed,
  MEDIA_TYPES,
  parseDescriptor,
  property,
  stringMap,
  textProperty,
  type Descriptor,
} from './descriptor.ts';
import { digestProblem, isDigest } from './digest.ts';
import { dockerListShape, dockerManifestShape, ociIndexShape, ociManifestShape } from './document-shapes.ts';
import { JsonMistake, readJson } from './go-json.ts';
import { shapeProblem, type RootShape } from './go-shape.ts';

/** One image for one platform (OCI image-spec, manifest.md; docker schema 2). */
export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** A list of manifests or of further indexes (OCI image-spec, image-index.md; docker manifest list). */
export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociIndex || mediaType === MEDIA_TYPES.dockerIndex;
}

export function isManifestMediaType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociManifest || mediaType === MEDIA_TYPES.dockerManifest;
}

/** A manifest whose parts have names that are none. */
export class BadDigest extends EngineError {
  constructor(message: string) {
    super('invalidArgument', message);
    this.name = 'BadDigest';
  }
}

const SHAPES: ReadonlyMap<string, RootShape> = new Map([
  [MEDIA_TYPES.dockerManifest, dockerManifestShape],
  [MEDIA_TYPES.dockerIndex, dockerListShape],
  [MEDIA_TYPES.ociIndex, ociIndexShape],
]);

/**
 * What is written in a manifest or an index of this media type; its members, as far as they are known, are of
 * the right types. Errors: `JsonMistake`, `invalidArgument`, `tooLarge`.
 */
export function readManifestJson(bytes: Uint8Array, mediaType: string): JsonValue {
  if (bytes.length > LIMITS.manifestBytes)
    throw new EngineError('tooLarge', `manifest is larger than ${LIMITS.manifestBytes} bytes`);
  const value = readJson(bytes, { what: 'manifest' });
  const problem = shapeProblem(value, SHAPES.get(mediaType) ?? ociManifestShape);
  if (problem !== null) throw new JsonMistake(problem);
  return value;
}

/** Reads a manifest or an index of which nothing is known. Errors: `invalidArgument`, `tooLarge`. */
export function parseManifestOrIndex(bytes: Uint8Array): Manifest | ImageIndex {
  return interpretManifest(readManifestJson(bytes, ''));
}

function digestOfEntry(entry: JsonValue | undefined): JsonValue {
  return (isJsonObject(entry) ? property(entry, 'digest') : undefined) ?? '';
}

function checkDigest(entry: JsonValue | undefined, say: (digest: string, problem: string) => string): void {
  const digest = digestOfEntry(entry);
  if (typeof digest !== 'string' || isDigest(digest)) return;
  throw new BadDigest(say(digest, digestProblem(digest)));
}

function layerOf(entry: JsonValue): Descriptor {
  checkDigest(
    entry,
    (digest, problem) => `could not validate layer digest ${JSON.stringify(digest)}: ${problem}`,
  );
  return parseDescriptor(entry, 'manifest');
}

function configOf(entry: JsonValue | undefined): Descriptor {
  if (isJsonObject(entry))
    checkDigest(entry, () => 'error pulling image configuration: invalid digest format');
  return parseDescriptor(entry, 'manifest');
}

function entryOf(entry: JsonValue): Descriptor {
  checkDigest(entry, () => 'invalid digest format');
  return parseDescriptor(entry, 'index');
}

/**
 * A document that claims to be both is refused: two readers could take it for different images. Errors:
 * `invalidArgument`, `BadDigest`.
 */
export function interpretManifest(value: JsonValue): Manifest | ImageIndex {
  if (!isJsonObject(value)) throw malformed('manifest', 'not a JSON object');
  const mediaType = textProperty(value, 'mediaType') ?? '';
  const manifests = property(value, 'manifests');
  const config = property(value, 'config');
  // As the reference reads them, none may be written in several ways.
  const layers = property(value, 'layers') ?? [];
  const annotations = stringMap(property(value, 'annotations'));
  if (manifests !== undefined && (config !== undefined || Object.hasOwn(value, 'layers'))) {
    throw malformed('manifest', 'it is both a manifest and an index');
  }
  if (manifests !== undefined) {
    if (isManifestMediaType(mediaType))
      throw malformed('manifest', `an index with the media type ${mediaType}`);
    const entries = manifests ?? [];
    if (!Array.isArray(entries)) throw malformed('index', '"manifests" is not a list');
    return {
      kind: 'index',
      mediaType: mediaType === '' ? MEDIA_TYPES.ociIndex : mediaType,
      manifests: entries.map(entryOf),
      annotations,
    };
  }
  if (isIndexMediaType(mediaType)) throw malformed('manifest', `a manifest with the media type ${mediaType}`);
  if (!isJsonObject(config)) throw malformed('manifest', 'it names no config');
  if (!Array.isArray(layers)) throw malformed('manifest', '"layers" is not a list');
  if (layers.length > LIMITS.layersPerImage)
    throw malformed('manifest', `more than ${LIMITS.layersPerImage} layers`);
  return {
    kind: 'manifest',
    mediaType: mediaType === '' ? MEDIA_TYPES.ociManifest : mediaType,
    layers: layers.map(layerOf),
    config: configOf(config),
    annotations,
  };
}
