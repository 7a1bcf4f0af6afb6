import { EngineError } from '#base/errors.ts';
import { shortId } from '#base/ids.ts';
import type { Digest } from '#oci/digest.ts';
import { parseImageConfig } from '#oci/image-config.ts';
import { platformMatches } from '#oci/platform.ts';
import { familiarReference, type Reference } from '#oci/reference.ts';
import { spoolArchive, type ArchiveIndex } from './archive/archive-index.ts';
import { DOCKER_MANIFEST, readDockerArchive, type OfferedImage } from './archive/docker-archive.ts';
import { LAYOUT_INDEX, readOciLayout } from './archive/oci-layout.ts';
import { IMAGE_LOCK, publish, type ImageDeps } from './deps.ts';
import type { LoadOptions } from './image-service.ts';
import type { Lease } from '#storage/lease.ts';
import { registerImage, withLease } from './register.ts';
import { nowText } from './tag.ts';

async function offered(index: ArchiveIndex, options: LoadOptions): Promise<OfferedImage[]> {
  if (index.has(DOCKER_MANIFEST)) return readDockerArchive(index);
  if (index.has(LAYOUT_INDEX)) return readOciLayout(index, options.platforms ?? []);
  throw new EngineError('invalidArgument', `open ${DOCKER_MANIFEST}: no such file or directory`, {
    hint: 'It is neither an archive of "docker save" nor an OCI image layout; a root file system is for "import".',
  });
}

function checkPlatform(image: OfferedImage, options: LoadOptions): boolean {
  const { os, architecture, variant } = parseImageConfig(image.config);
  if (os !== '' && os !== 'linux')
    throw new EngineError('invalidArgument', `cannot load ${os} image on linux`);
  const wanted = options.platforms ?? [];
  if (wanted.length === 0) return true;
  const actual = { os, architecture, ...(variant === '' ? {} : { variant }) };
  return wanted.some((platform) => platformMatches(platform, actual));
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

async function register(
  deps: ImageDeps,
  { image, lease }: { readonly image: OfferedImage; readonly lease: Lease },
  options: LoadOptions,
): Promise<Digest> {
  const known = new Set<string>(deps.storage.snapshotter.layers().map((layer) => layer.chainId));
  return registerImage(deps, {
    config: image.config,
    layerBlobs: image.layerBlobs,
    lease,
    onLayer: ({ chainId, sizeBytes }) => {
      if (options.quiet === true || known.has(chainId)) return;
      const id = shortId(chainId.slice('sha256:'.length));
      options.onProgress({
        status: 'Loading layer',
        progressDetail: { current: sizeBytes, total: sizeBytes },
        id,
      });
    },
  });
}

interface Loaded {
  readonly id: Digest;
  readonly names: readonly Reference[];
}

/**
 * Images with different bases are unpacked side by side. A failure is told when nothing is written any more.
 */
async function registerAll(
  deps: ImageDeps,
  { images, lease }: { readonly images: readonly OfferedImage[]; readonly lease: Lease },
  options: LoadOptions,
): Promise<Loaded[]> {
  const results = await Promise.allSettled(images.map((image) => register(deps, { image, lease }, options)));
  return results.map((result, i) => {
    if (result.status === 'rejected') throw result.reason;
    return { id: result.value, names: images[i]?.names ?? [] };
  });
}

/**
 * Loads every image of an archive: of `docker save`, old or new, or an OCI layout, compressed or not.
 * Everything is checked and unpacked before the first name is given. Errors: `invalidArgument`, `notFound`,
 * `tooLarge`.
 */
export async function loadImages(
  deps: ImageDeps,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<void> {
  await withLease(deps, async (lease) => {
    const index = await spoolArchive(source, { content: deps.storage.content, lease });
    const images = (await offered(index, options)).filter((image) => checkPlatform(image, options));
    const loaded = await registerAll(deps, { images, lease }, options);
    for (const { id, names } of loaded) {
      for (const reference of names) await name(deps, { reference, id }, options);
      publish(deps, 'load', { id, name: id });
    }
    if (loaded.some(({ names }) => names.length > 0)) return;
    for (const { id } of loaded) options.onProgress({ stream: `Loaded image ID: ${id}\n` });
  });
}
