import { LIMITS } from '#base/limits.ts';
import { parseImageConfig } from '#oci/image-config.ts';
import type { ImageIndex, Manifest } from '#oci/manifest.ts';
import type { Reference } from '#oci/reference.ts';
import type { Credentials } from '#registry/credentials.ts';
import type { Repository } from '#registry/client.ts';
import type { ImageDeps } from './deps.ts';
import type { DistributionFacts } from './image-service.ts';
import { preciseReference } from './pull.ts';
import { parseSaying, readDocument } from './pull/documents.ts';

type Platforms = DistributionFacts['Platforms'];

function platformsOf(index: ImageIndex): Platforms {
  return index.manifests.flatMap(({ platform }) => {
    if (platform === undefined) return [];
    const { architecture, os, variant } = platform;
    return [{ architecture, os, ...(variant !== undefined && { variant }) }];
  });
}

/** Documents that are no images have none. */
async function platformIn(repository: Repository, { config }: Manifest): Promise<Platforms> {
  if (!/\.image\.(?:config\.)?v1\+json$/.test(config.mediaType)) return [];
  const { architecture, os, osVersion, osFeatures, variant } = await parseSaying(
    await repository.blobBytes(config, LIMITS.imageConfigBytes),
    parseImageConfig,
  );
  return [
    {
      architecture,
      os,
      ...(osVersion !== '' && { 'os.version': osVersion }),
      ...(osFeatures.length > 0 && { 'os.features': osFeatures }),
      ...(variant !== '' && { variant }),
    },
  ];
}

/** See `ImageService.distribution`. */
export async function askRegistry(
  { registry }: Pick<ImageDeps, 'registry'>,
  asked: Reference,
  credentials: Credentials | null,
): Promise<DistributionFacts> {
  const reference = preciseReference(asked);
  const repository = registry.repository(reference, { actions: 'pull', credentials });
  await repository.ping();
  const manifest = await repository.manifest(reference.digest ?? reference.tag ?? 'latest');
  const { digest, bytes, mediaType, content } = await readDocument(manifest);
  return {
    Descriptor: { mediaType, digest, size: bytes.length },
    Platforms: content.kind === 'index' ? platformsOf(content) : await platformIn(repository, content),
  };
}
