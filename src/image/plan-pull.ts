import { formatPlatform } from '#oci/platform.ts';
import { familiarReference, type Reference } from '#oci/reference.ts';
import type { ImageDeps } from './deps.ts';
import type { PullOptions, PullPlan } from './image-service.ts';
import { preciseReference } from './pull.ts';
import { resolveImageIn, resolveRoot, type RemoteImage } from './pull/resolve-manifest.ts';

type PlannedLayer = PullPlan['layers'][number];

async function planLayers(deps: ImageDeps, image: RemoteImage): Promise<PlannedLayer[]> {
  const { content, intakes, snapshotter } = deps.storage;
  const begun = new Map((await intakes.partials()).map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  const layers: PlannedLayer[] = [];
  for (const [i, { digest, sizeBytes }] of image.manifest.content.layers.entries()) {
    const chainId = image.chain[i];
    const haveBytes = Math.min(begun.get(digest) ?? 0, sizeBytes);
    if (chainId !== undefined && snapshotter.hasLayer(chainId))
      layers.push({ digest, sizeBytes, state: 'layer', haveBytes: sizeBytes });
    else if (await content.has(digest))
      layers.push({ digest, sizeBytes, state: 'blob', haveBytes: sizeBytes });
    else layers.push({ digest, sizeBytes, state: haveBytes > 0 ? 'partial' : 'missing', haveBytes });
  }
  return layers;
}

/** Twice the same blob is fetched once. */
function missingBytes(layers: readonly PlannedLayer[]): number {
  const missing = new Map(layers.map(({ digest, sizeBytes, haveBytes }) => [digest, sizeBytes - haveBytes]));
  return [...missing.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** See `ImageService.planPull`. */
export async function planPull(
  deps: ImageDeps,
  asked: Reference,
  options: Pick<PullOptions, 'platform' | 'credentials' | 'signal'>,
): Promise<PullPlan> {
  const { credentials, platform, signal } = options;
  const reference = preciseReference(asked);
  const repository = deps.registry.repository(reference, { actions: 'pull', credentials, signal });
  const source = { repository, content: deps.storage.content, host: deps.platform };
  await repository.ping();
  const root = await resolveRoot(source, reference);
  signal.throwIfAborted();
  const image = await resolveImageIn(source, root, platform);
  const layers = await planLayers(deps, image);
  const { os, architecture, variant } = image.config;
  return {
    reference: familiarReference(reference),
    digest: root.digest,
    imageId: image.id,
    platform: formatPlatform({ os, architecture, variant }),
    upToDate: deps.store.lookup(reference) === image.id,
    layers,
    downloadBytes: missingBytes(layers),
  };
}
