import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { jsonMistake } from '#base/json-scan.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import {
  expectedIndex,
  expectedManifest,
  manifestWithoutType,
  otherMediaType,
  remotePlugin,
  unsupportedMediaType,
} from '#api/messages.ts';
import { MEDIA_TYPES, property, textProperty } from '#oci/descriptor.ts';
import type { Digest } from '#oci/digest.ts';
import { JsonMistake } from '#oci/go-json.ts';
import {
  interpretManifest,
  isIndexMediaType,
  isManifestMediaType,
  readManifestJson,
  type ImageIndex,
  type Manifest,
} from '#oci/manifest.ts';

/** A document as a registry gave it, and what it says. */
export interface Document<T extends Manifest | ImageIndex = Manifest | ImageIndex> {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly content: T;
}

const PLUGIN_CONFIG = 'application/vnd.docker.plugin.v1+json';
const OCI_LAYER = /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?$/;
const DOCKER_LAYER = /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?$/;

/** Where the reference reads an old manifest, whose signature it misses, nobody would know what is wrong. */
function unknownType({ mediaType, bytes }: { mediaType: string; bytes: Buffer }): EngineError {
  const mistake = bytes.length > LIMITS.smallDocumentBytes ? null : jsonMistake(bytes.toString('utf8'));
  if (mistake !== null)
    return new EngineError('internal', `error unmarshalling content: ${mistake}`, {
      hint: `What the registry sent is no manifest; its media type is ${mediaType}.`,
    });
  return new EngineError('invalidArgument', unsupportedMediaType(mediaType), {
    hint: 'Only OCI and docker (schema 2) images can be pulled.',
  });
}

/** What the header says and what the body is must agree: another reader might believe the other one. */
function checkAgreement(value: JsonValue, mediaType: string): void {
  const document = isJsonObject(value) ? value : {};
  const has = (key: string): boolean => (property(document, key) ?? null) !== null;
  const stated = textProperty(document, 'mediaType') ?? '';
  if (mediaType === MEDIA_TYPES.ociIndex && (has('config') || has('layers')))
    throw new EngineError('internal', expectedIndex());
  if (mediaType === MEDIA_TYPES.ociManifest && has('manifests'))
    throw new EngineError('internal', expectedManifest());
  const isOci = mediaType === MEDIA_TYPES.ociIndex || mediaType === MEDIA_TYPES.ociManifest;
  if (stated !== mediaType && !(isOci && stated === ''))
    throw new EngineError('internal', otherMediaType(mediaType, stated));
}

/** Errors: `invalidArgument`, `internal` with the reference's texts. */
export async function readDocument(of: {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly mediaType: string;
}): Promise<Document> {
  const { mediaType } = of;
  if (mediaType === '') throw new EngineError('internal', manifestWithoutType());
  const isIndex = isIndexMediaType(mediaType);
  if (!isIndex && !isManifestMediaType(mediaType)) throw unknownType(of);
  const read = (bytes: Buffer): Manifest | ImageIndex => {
    const value = readManifestJson(bytes, mediaType);
    checkAgreement(value, mediaType);
    return interpretManifest(value);
  };
  const content = await parseSaying(of.bytes, read, LIMITS.listValues);
  if (isIndex && content.kind === 'manifest') throw new EngineError('internal', expectedIndex());
  if (!isIndex && content.kind === 'index') throw new EngineError('internal', expectedManifest());
  return { ...of, content };
}

/** Parses what is not too heavy; what is no JSON of the right types is, as with the reference, its fault. */
export async function parseSaying<T>(
  bytes: Buffer,
  parse: (bytes: Buffer) => T,
  maxValues: number = LIMITS.documentValues,
): Promise<T> {
  await checkJsonWeight(bytes, 'document', maxValues);
  try {
    return parse(bytes);
  } catch (error) {
    if (!(error instanceof JsonMistake)) throw error;
    throw new EngineError('internal', error.message, { cause: error });
  }
}

/** Whether it is an image that containers can be made of. Errors: `invalidArgument`. */
export function checkImageManifest(manifest: Manifest): void {
  const config = manifest.config.mediaType;
  if (config === PLUGIN_CONFIG) throw new EngineError('invalidArgument', remotePlugin(config));
  if (config !== '' && config !== MEDIA_TYPES.ociConfig && config !== MEDIA_TYPES.dockerConfig)
    throw new EngineError('invalidArgument', unsupportedMediaType(config));
  for (const { mediaType } of manifest.layers)
    if (mediaType !== '' && !OCI_LAYER.test(mediaType) && !DOCKER_LAYER.test(mediaType))
      throw new EngineError('invalidArgument', unsupportedMediaType(mediaType));
}
