import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#base/json.ts';
import { parseDigest, type Digest } from './digest.ts';
import type { Platform } from './platform.ts';

/** Media types, OCI and docker, that this engine reads. */
export const MEDIA_TYPES = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

/** Points at a blob (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  /** Of an artifact that is no image. */
  readonly artifactType?: string;
}

export function malformed(what: string, why: string): EngineError {
  return new EngineError('invalidArgument', `invalid ${what}: ${why}`);
}

/** An own property, never one that the prototype lends. */
export function property(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

export function textProperty(object: JsonObject, key: string): string | undefined {
  const value = property(object, key);
  return typeof value === 'string' ? value : undefined;
}

function isTextMap(value: JsonObject): value is Record<string, string> {
  return Object.keys(value).every((key) => typeof value[key] === 'string');
}

/** String values only; everything else in the map is dropped. `__proto__` stays an ordinary own key. */
export function stringMap(value: JsonValue | undefined): Record<string, string> {
  if (!isJsonObject(value)) return {};
  // A copy of a large one costs more than its parsing.
  if (isTextMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter((e): e is [string, string] => typeof e[1] === 'string'),
  );
}

export function parsePlatformObject(value: JsonValue | undefined): Platform | undefined {
  if (!isJsonObject(value)) return undefined;
  const os = textProperty(value, 'os');
  const architecture = textProperty(value, 'architecture');
  if (os === undefined || architecture === undefined) return undefined;
  const [variant = '', osVersion = ''] = [textProperty(value, 'variant'), textProperty(value, 'os.version')];
  const features = property(value, 'os.features');
  const osFeatures = Array.isArray(features) ? features.filter((one) => typeof one === 'string') : [];
  return {
    ...{ os, architecture },
    ...(variant !== '' && { variant }),
    ...(osVersion !== '' && { osVersion }),
    ...(osFeatures.length > 0 && { osFeatures }),
  };
}

/** Errors: `invalidArgument`. */
export function parseDescriptor(value: JsonValue | undefined, what: string): Descriptor {
  if (!isJsonObject(value)) throw malformed(what, 'a descriptor is an object');
  const size = property(value, 'size');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw malformed(what, 'bad size in a descriptor');
  const platform = parsePlatformObject(property(value, 'platform'));
  const artifactType = textProperty(value, 'artifactType');
  return {
    mediaType: textProperty(value, 'mediaType') ?? '',
    digest: parseDigest(property(value, 'digest')),
    sizeBytes: size,
    annotations: stringMap(property(value, 'annotations')),
    ...(platform === undefined ? {} : { platform }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}
