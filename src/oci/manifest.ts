import { EngineError } from '#base/errors.ts';
import { isJsonObject, parseJson } from '#base/json.ts';
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

/**
 * Reads a manifest or an index. A document that claims to be both is refused: two readers could take it for
 * different images. Errors: `invalidArgument`, `tooLarge`.
 */
export function parseManifestOrIndex(bytes: Uint8Array): Manifest | ImageIndex {
  if (bytes.length > LIMITS.manifestBytes)
    throw new EngineError('tooLarge', `manifest is larger than ${LIMITS.manifestBytes} bytes`);
  const value = parseJson(new TextDecoder().decode(bytes), 'manifest');
  if (!isJsonObject(value)) throw malformed('manifest', 'not a JSON object');
  const mediaType = textProperty(value, 'mediaType') ?? '';
  const manifests = property(value, 'manifests');
  const config = property(value, 'config');
  const layers = property(value, 'layers');
  const annotations = stringMap(property(value, 'annotations'));
  if (manifests !== undefined && (config !== undefined || layers !== undefined)) {
    throw malformed('manifest', 'it is both a manifest and an index');
  }
  if (manifests !== undefined) {
    if (isManifestMediaType(mediaType))
      throw malformed('manifest', `an index with the media type ${mediaType}`);
    if (!Array.isArray(manifests)) throw malformed('index', '"manifests" is not a list');
    return {
      kind: 'index',
      mediaType: mediaType === '' ? MEDIA_TYPES.ociIndex : mediaType,
      manifests: manifests.map((entry) => parseDescriptor(entry, 'index')),
      annotations,
    };
  }
  if (isIndexMediaType(mediaType)) throw malformed('manifest', `a manifest with the media type ${mediaType}`);
  if (!Array.isArray(layers)) throw malformed('manifest', '"layers" is not a list');
  if (layers.length > LIMITS.layersPerImage)
    throw malformed('manifest', `more than ${LIMITS.layersPerImage} layers`);
  return {
    kind: 'manifest',
    mediaType: mediaType === '' ? MEDIA_TYPES.ociManifest : mediaType,
    config: parseDescriptor(config, 'manifest'),
    layers: layers.map((entry) => parseDescriptor(entry, 'manifest')),
    annotations,
  };
}
