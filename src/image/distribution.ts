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

interface Described {
  readonly architecture: string;
  readonly os: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
  readonly variant?: string;
}

function describe(platform: Described): Platforms[number] {
  const { architecture, os, osVersion = '', osFeatures = [], variant = '' } = platform;
  return {
    ...{ architecture, os },
    ...(osVersion !== '' && { 'os.version': osVersion }),
    ...(osFeatures.length > 0 && { 'os.features': osFeatures }),
    ...(variant !== '' && { variant }),
  };
}

/** One for each entry, also for those that name none. */
function platformsOf(index: ImageIndex): Platforms {
  return index.manifests.map(({ platform }) => describe(platform ?? { architecture: '', os: '' }));
}

/** Documents that are no images have none. */
async function platformIn(repository: Repository, { config }: Manifest): Promise<Platforms> {
  if (!/\.image\.(?:config\.)?v1\+json$/.test(config.mediaType)) return [];
  const bytes = await repository.blobBytes(config, LIMITS.imageConfigBytes);
  return [describe(await parseSaying(bytes, parseImageConfig))];
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
  // A tag is looked up, which registries do not count, before what it stands for is fetched.
  const digest = reference.digest ?? (await repository.head(reference.tag ?? 'latest')).digest;
  const manifest = await repository.manifest(digest);
  const { bytes, mediaType, content } = await readDocument(manifest);
  return {
    Descriptor: { mediaType, digest, size: bytes.length },
    Platforms: content.kind === 'index' ? platformsOf(content) : await platformIn(repository, content),
  };
}
