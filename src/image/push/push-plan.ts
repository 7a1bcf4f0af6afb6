import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { LIMITS } from '#base/limits.ts';
import type { Digest } from '#oci/digest.ts';
import type { Manifest } from '#oci/manifest.ts';
import { repositoryName, type Reference } from '#oci/reference.ts';

/* What a push decides, without doing it. */

export interface SentBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A layer's archive as it goes out. */
export interface SentLayer extends SentBlob {
  readonly form: 'none' | 'gzip' | 'zstd';
}

export interface SentManifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/**
 * Whether the manifest that an image came with says what is here: then it goes out byte for byte, so that its
 * digest, and all that refers to it, stays valid.
 */
export function isManifestOf(
  manifest: Manifest,
  image: { readonly id: Digest; readonly diffIds: readonly Digest[]; readonly here: ReadonlySet<Digest> },
): boolean {
  return (
    manifest.config.digest === image.id &&
    manifest.layers.length === image.diffIds.length &&
    manifest.layers.every(({ digest }) => image.here.has(digest))
  );
}

/**
 * A manifest for an image that has none: docker's schema 2 with the white space of the reference, whose bytes
 * others compare. What that does not describe goes into one of OCI.
 */
export function encodeManifest(config: SentBlob, layers: readonly SentLayer[]): SentManifest {
  const isDocker = layers.every(({ form }) => form === 'gzip');
  const mediaType = isDocker ? MEDIA_TYPES.dockerManifest : MEDIA_TYPES.ociManifest;
  const layerTypes = {
    none: MEDIA_TYPES.ociLayer,
    gzip: isDocker ? MEDIA_TYPES.dockerLayer : MEDIA_TYPES.ociLayerGzip,
    zstd: MEDIA_TYPES.ociLayerZstd,
  };
  const descriptor = (type: string, { digest, sizeBytes }: SentBlob): object => ({
    mediaType: type,
    size: sizeBytes,
    digest,
  });
  const document = {
    schemaVersion: 2,
    mediaType,
    config: descriptor(isDocker ? MEDIA_TYPES.dockerConfig : MEDIA_TYPES.ociConfig, config),
    layers: layers.map((layer) => descriptor(layerTypes[layer.form], layer)),
  };
  return { mediaType, bytes: Buffer.from(JSON.stringify(document, null, 3)) };
}

/** Paths of repositories of the same registry that are known to have a blob. */
export function mountSources(known: readonly string[], target: Reference): readonly string[] {
  const prefix = `${target.domain}/`;
  return known
    .filter((name) => name.startsWith(prefix) && name !== repositoryName(target))
    .map((name) => name.slice(prefix.length))
    .slice(0, LIMITS.mountTries);
}
