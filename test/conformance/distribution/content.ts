import { createHash, randomBytes } from 'node:crypto';

export type Algorithm = 'sha256' | 'sha512';

export interface Content {
  readonly bytes: Buffer;
  readonly digest: string;
}

export interface ManifestContent extends Content {
  readonly mediaType: string;
  readonly subject?: string;
  readonly artifactType?: string;
}

export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';

export function digestWith(algorithm: Algorithm, bytes: Uint8Array): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

export function content(bytes: Buffer, algorithm: Algorithm = 'sha256'): Content {
  return { bytes, digest: digestWith(algorithm, bytes) };
}

export function randomContent(size = 1024, algorithm: Algorithm = 'sha256'): Content {
  return content(randomBytes(size), algorithm);
}

export const emptyJson = (algorithm: Algorithm = 'sha256'): Content => content(Buffer.from('{}'), algorithm);

/** A configuration that is nobody else's. */
export function configContent(algorithm: Algorithm = 'sha256'): Content {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    author: randomBytes(8).toString('hex'),
    rootfs: { type: 'layers', diff_ids: [] },
  };
  return content(Buffer.from(JSON.stringify(config)), algorithm);
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export function layer({ digest, bytes }: Content, mediaType = LAYER_TYPE): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

export function manifestOf(document: object, algorithm: Algorithm = 'sha256'): ManifestContent {
  const whole = { schemaVersion: 2, ...document } as {
    mediaType?: string;
    subject?: Descriptor;
    artifactType?: string;
  };
  const { mediaType = MANIFEST_TYPE, subject, artifactType } = whole;
  return {
    ...content(Buffer.from(JSON.stringify(whole)), algorithm),
    mediaType,
    ...(subject !== undefined && { subject: subject.digest }),
    ...(artifactType !== undefined && { artifactType }),
  };
}

/** An image of a configuration and layers. */
export function imageOf(
  config: Content,
  layers: readonly Content[],
  { more = {}, algorithm = 'sha256' }: { readonly more?: object; readonly algorithm?: Algorithm } = {},
): ManifestContent {
  return manifestOf(
    {
      mediaType: MANIFEST_TYPE,
      config: layer(config, CONFIG_TYPE),
      layers: layers.map((blob) => layer(blob)),
      ...more,
    },
    algorithm,
  );
}

/** Something that is no image. */
export function artifactOf(
  artifactType: string,
  layers: readonly Content[],
  subject?: ManifestContent,
): ManifestContent {
  return manifestOf({
    mediaType: MANIFEST_TYPE,
    artifactType,
    config: layer(emptyJson(), EMPTY_TYPE),
    layers: layers.map((blob) => layer(blob, 'application/vnd.test.data')),
    ...(subject !== undefined && { subject: layer(subject, subject.mediaType) }),
    annotations: { 'org.opencontainers.test': artifactType },
  });
}

export function indexOf(
  manifests: readonly ManifestContent[],
  { more = {}, algorithm = 'sha256' }: { readonly more?: object; readonly algorithm?: Algorithm } = {},
): ManifestContent {
  const entries = manifests.map((manifest) => layer(manifest, manifest.mediaType));
  return manifestOf({ mediaType: INDEX_TYPE, manifests: entries, ...more }, algorithm);
}
