import { EngineError, isEngineError } from '#base/errors.ts';
import { scanJson } from '#base/json-scan.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import {
  expectedIndex,
  expectedManifest,
  manifestWithoutType,
  remotePlugin,
  unsupportedMediaType,
} from '#api/messages.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import type { Digest } from '#oci/digest.ts';
import {
  isIndexMediaType,
  isManifestMediaType,
  parseManifestOrIndex,
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

/**
 * What the header says and what the body is must agree: another reader might believe the other one. Errors:
 * `invalidArgument`, `internal` with the reference's texts.
 */
export async function readDocument(of: {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly mediaType: string;
}): Promise<Document> {
  const { mediaType } = of;
  if (mediaType === '') throw new EngineError('internal', manifestWithoutType());
  const isIndex = isIndexMediaType(mediaType);
  if (!isIndex && !isManifestMediaType(mediaType))
    throw new EngineError('invalidArgument', unsupportedMediaType(mediaType), {
      hint: 'Only OCI and docker (schema 2) images can be pulled.',
    });
  const content = await parseSaying(of.bytes, parseManifestOrIndex, LIMITS.listValues);
  if (isIndex && content.kind === 'manifest') throw new EngineError('internal', expectedIndex());
  if (!isIndex && content.kind === 'index') throw new EngineError('internal', expectedManifest());
  return { ...of, content };
}

/** Parses; a text that is no JSON is refused in the words of the reference's parser. */
export async function parseSaying<T>(
  bytes: Buffer,
  parse: (bytes: Buffer) => T,
  maxValues: number = LIMITS.documentValues,
): Promise<T> {
  await checkJsonWeight(bytes, 'document', maxValues);
  try {
    return parse(bytes);
  } catch (error) {
    // Whoever sends one so large gets to know less.
    if (bytes.length > LIMITS.smallDocumentBytes) throw error;
    const { error: mistake } = scanJson(bytes.toString('utf8'));
    if (mistake === null || !isEngineError(error, 'invalidArgument')) throw error;
    const text = mistake.endsWith('EOF') ? 'unexpected end of JSON input' : mistake;
    throw new EngineError('internal', text, { cause: error });
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
