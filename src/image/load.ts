import { setImmediate } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import { noRootfsInLoaded } from '#api/messages.ts';
import { chainIds } from '#oci/chain-id.ts';
import type { Digest } from '#oci/digest.ts';
import { parseNewImageConfig, type ImageConfig, type NewConfigTexts } from '#oci/image-config.ts';
import { configPlatform, isPlatform } from '#oci/platform.ts';
import { familiarReference, type Reference } from '#oci/reference.ts';
import type { ArchiveIndex, ArchiveLayer } from './archive/archive-index.ts';
import { DOCKER_MANIFEST, readDockerArchive, type OfferedImage } from './archive/docker-archive.ts';
import { LAYOUT_INDEX, readOciLayout } from './archive/oci-layout.ts';
import { ArchiveReader, type ReadArchiveOptions } from './archive/read-archive.ts';
import { IMAGE_LOCK, publish, type ImageDeps } from './deps.ts';
import type { LoadOptions } from './image-service.ts';
import type { Lease } from '#storage/lease.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';
import { amountLine } from './progress-bar.ts';
import { registerImage, withLease } from './register.ts';
import { nowText } from './tag.ts';

/** At most so often, but for the last line of a layer. */
const INTERVAL_MS = 100;

const CONFIG_TEXTS: NewConfigTexts = {
  noRootfs: noRootfsInLoaded(),
  badDiffId: (layer, text, problem) =>
    `invalid diffID for layer ${layer}: ${JSON.stringify(text)}: ${problem}`,
};

/** Lines about layers on their way, by what the archive calls them. */
function arrivals({ quiet, onProgress }: LoadOptions): Pick<ReadArchiveOptions, 'onProgress'> {
  if (quiet === true) return {};
  let told = Number.NEGATIVE_INFINITY;
  return {
    onProgress: ({ path, receivedBytes: current, sizeBytes: total }) => {
      const nowMs = performance.now();
      if (current < total && nowMs - told < INTERVAL_MS) return;
      told = nowMs;
      const id = /[0-9a-f]{12}/.exec(path)?.[0] ?? path;
      onProgress(amountLine(id, 'Loading layer', { current, total }));
    },
  };
}

async function offered(
  deps: ImageDeps,
  index: ArchiveIndex,
  options: LoadOptions,
): Promise<readonly OfferedImage[]> {
  if (index.has(DOCKER_MANIFEST)) {
    const bytes = index.document(DOCKER_MANIFEST, LIMITS.manifestBytes);
    await checkJsonWeight(bytes, DOCKER_MANIFEST, LIMITS.archiveListValues);
    return readDockerArchive(index);
  }
  if (index.has(LAYOUT_INDEX))
    return readOciLayout(index, { asked: options.platforms ?? [], host: deps.platform });
  throw new EngineError('invalidArgument', `open ${DOCKER_MANIFEST}: no such file or directory`, {
    hint: 'It is neither an archive of "docker save" nor an OCI image layout; a root file system is for "import".',
  });
}

/** As in the reference an image that runs on the wanted platform, but is for another, is not taken. */
function checkPlatform(config: ImageConfig, options: LoadOptions): boolean {
  const { os } = config;
  if (os !== '' && os !== 'linux')
    throw new EngineError('invalidArgument', `cannot load ${os} image on linux`);
  const platforms = options.platforms ?? [];
  if (platforms.length === 0) return true;
  return platforms.some((platform) => isPlatform(platform, configPlatform(config)));
}

interface WantedImage extends OfferedImage {
  readonly diffIds: readonly Digest[];
}

/** Parses each config once, and keeps the little that is needed of it. */
async function wanted(
  deps: ImageDeps,
  index: ArchiveIndex,
  options: LoadOptions,
): Promise<readonly WantedImage[]> {
  const images: WantedImage[] = [];
  for (const image of await offered(deps, index, options)) {
    // A config may take a while: others have their turn between two.
    await setImmediate();
    await checkJsonWeight(image.config, 'image config');
    const config = parseNewImageConfig(image.config, CONFIG_TEXTS);
    if (checkPlatform(config, options)) images.push({ ...image, diffIds: config.diffIds });
  }
  return images;
}

async function name(
  deps: ImageDeps,
  given: { reference: Reference; id: Digest },
  options: LoadOptions,
): Promise<void> {
  const { reference, id } = given;
  const familiar = familiarReference(reference);
  await deps.mutex.run(IMAGE_LOCK, async () => {
    const before = deps.store.lookup(reference);
    if (before !== null && before !== id) {
      const text = `The image ${familiar} already exists, renaming the old one with ID ${before} to empty string\n`;
      options.onProgress({ stream: text });
    }
    await deps.store.tag(reference, id, nowText(deps));
  });
  options.onProgress({ stream: `Loaded image: ${familiar}\n` });
}

/** What the archive brought of the layers that are not here already, checked against the config. */
async function unpackedOf(
  deps: ImageDeps,
  layers: readonly ArchiveLayer[],
  diffIds: readonly Digest[],
): Promise<ReadonlyMap<number, UnpackedLayer>> {
  const unpacked = new Map<number, UnpackedLayer>();
  const chain = chainIds(diffIds);
  for (const [i, layer] of layers.entries()) {
    const chainId = chain[i];
    const diffId = diffIds[i];
    if (chainId === undefined || diffId === undefined || deps.storage.snapshotter.hasLayer(chainId)) continue;
    const mine = await layer.take();
    if (mine === null) continue;
    if (mine.diffId !== diffId) {
      throw new EngineError(
        'invalidArgument',
        `invalid diffID for layer ${i}: expected "${diffId}", got "${mine.diffId}"`,
      );
    }
    unpacked.set(i, mine);
  }
  return unpacked;
}

async function register(
  deps: ImageDeps,
  { image, lease }: { readonly image: WantedImage; readonly lease: Lease },
): Promise<Digest> {
  const { diffIds } = image;
  lease.hold(...chainIds(diffIds));
  const layerBlobs = await Promise.all(image.layers.map((layer) => layer.blob()));
  return registerImage(deps, {
    config: image.config,
    diffIds,
    layerBlobs,
    unpacked: await unpackedOf(deps, image.layers, diffIds),
    lease,
  });
}

interface Loaded {
  readonly id: Digest;
  readonly names: readonly Reference[];
}

async function registerAll(
  deps: ImageDeps,
  { images, lease }: { readonly images: readonly WantedImage[]; readonly lease: Lease },
): Promise<readonly Loaded[]> {
  const loaded: Loaded[] = [];
  // One after the other: images share layers, and what is left to be done is short.
  for (const image of images) loaded.push({ id: await register(deps, { image, lease }), names: image.names });
  return loaded;
}

/**
 * Loads every image of an archive: of `docker save`, old or new, or an OCI layout, compressed or not. It is
 * read once, and its layers are unpacked while the rest still comes. Everything is checked and unpacked
 * before the first name is given. Errors: `invalidArgument`, `notFound`, `tooLarge`.
 */
export async function loadImages(
  deps: ImageDeps,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<void> {
  await withLease(deps, async (lease) => {
    const { signal } = options;
    const given = { storage: deps.storage, lease, ...(signal !== undefined && { signal }) };
    const reader = new ArchiveReader({ ...given, ...arrivals(options) });
    try {
      const images = await wanted(deps, await reader.read(source), options);
      await announce(deps, await registerAll(deps, { images, lease }), options);
    } finally {
      await reader.close();
    }
  });
}

async function announce(deps: ImageDeps, loaded: readonly Loaded[], options: LoadOptions): Promise<void> {
  for (const { id, names } of loaded) {
    for (const reference of names) await name(deps, { reference, id }, options);
    publish(deps, 'load', { id, name: id });
  }
  // As in the reference: the last image decides, and when all are for other platforms an empty line goes.
  if ((loaded.at(-1)?.names.length ?? 0) > 0) return;
  const stream = loaded.map(({ id }) => `Loaded image ID: ${id}\n`).join('');
  options.onProgress(stream === '' ? {} : { stream });
}
