import { setImmediate } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import { parseManifestOrIndex } from '#oci/manifest.ts';
import { formatPlatform, isPlatform, platformRank, type Platform } from '#oci/platform.ts';
import { formatReference, parseReference, withDefaultTag, type Reference } from '#oci/reference.ts';
import { bestFirst, offersHint } from '../pull/choose-platform.ts';
import type { ArchiveIndex } from './archive-index.ts';
import { checkImageCount, type OfferedImage } from './docker-archive.ts';

export const LAYOUT_INDEX = 'index.json';

const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAMES = ['io.containerd.image.name', 'com.github.containers.image.name'];

const blobPath = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;

/**
 * The name that a tool wrote beside a manifest, if it is a whole one: some write the tag alone, which names
 * nothing.
 */
function nameOf(descriptor: Descriptor): Reference | null {
  const own = (key: string): string | undefined =>
    Object.hasOwn(descriptor.annotations, key) ? descriptor.annotations[key] : undefined;
  const refName = own(REF_NAME);
  const whole =
    IMAGE_NAMES.map(own).find((name) => name !== undefined) ??
    (refName && /[:/]/.test(refName) ? refName : undefined);
  if (whole === undefined) return null;
  return withDefaultTag({ ...parseReference(whole), digest: null });
}

/** What is to be taken of an image for several platforms. */
export interface LayoutPlatforms {
  /** In this order, and nothing that would run there as well. Without any the machine decides. */
  readonly asked: readonly Platform[];
  readonly host: Platform;
}

/** 0 is the best, null is not wanted. Something that names no platform comes after all that do. */
function rankOf({ platform }: Descriptor, { asked, host }: LayoutPlatforms): number | null {
  if (platform === undefined) return Infinity;
  if (asked.length === 0) return platformRank(host, platform);
  const at = asked.findIndex((each) => isPlatform(each, platform));
  return at < 0 ? null : at;
}

function choose(manifests: readonly Descriptor[], platforms: LayoutPlatforms): Descriptor {
  const [best, second] = bestFirst(manifests, (entry) => rankOf(entry, platforms));
  // Of several that name no platform any could be meant.
  if (best !== undefined && (best.rank !== Infinity || second === undefined)) return best.entry;
  const { os, architecture } = platforms.host;
  const wanted = platforms.asked.length === 0 ? [{ os, architecture }] : platforms.asked;
  const text = wanted.map(formatPlatform).join(', ');
  throw new EngineError('notFound', `no matching manifest for ${text} in the image archive`, {
    hint: offersHint(manifests),
  });
}

/** What is needed of a manifest; a digest: of an index, the one to go on with. */
type Step = Pick<OfferedImage, 'layers'> & { readonly config: Digest };

/** The documents of a layout. However many entries name one, it is parsed once. */
class Layout {
  readonly #index: ArchiveIndex;
  readonly #platforms: LayoutPlatforms;
  readonly #steps = new Map<Digest, Step | Digest>();

  constructor(index: ArchiveIndex, platforms: LayoutPlatforms) {
    this.#index = index;
    this.#platforms = platforms;
  }

  async read(path: string): Promise<ReturnType<typeof parseManifestOrIndex>> {
    const bytes = this.#index.document(path, LIMITS.manifestBytes);
    await checkJsonWeight(bytes, path, LIMITS.listValues);
    return parseManifestOrIndex(bytes);
  }

  async manifest(entry: Digest): Promise<Step> {
    let current = entry;
    for (let depth = 0; depth <= LIMITS.indexDepth; depth++) {
      const step = await this.#step(current);
      if (typeof step !== 'string') return step;
      current = step;
    }
    throw new EngineError('invalidArgument', 'invalid image archive: indexes nested too deeply');
  }

  async #step(digest: Digest): Promise<Step | Digest> {
    const known = this.#steps.get(digest);
    if (known !== undefined) return known;
    // Others have their turn between two documents.
    await setImmediate();
    const document = await this.read(blobPath(digest));
    const step =
      document.kind === 'index'
        ? choose(document.manifests, this.#platforms).digest
        : {
            config: document.config.digest,
            layers: document.layers.map((layer) => this.#index.layer(blobPath(layer.digest))),
          };
    this.#steps.set(digest, step);
    return step;
  }
}

/**
 * The entries that are images. Where those of one name are for several platforms, only the best one has it,
 * and those without a name need to be wanted; what is alone is taken whatever it is for.
 */
function imagesOf(entries: readonly Descriptor[], platforms: LayoutPlatforms): readonly Descriptor[] {
  // Statements about other manifests (provenance, signatures) are no images.
  const images = entries.filter(({ platform }) => platform?.os !== 'unknown');
  const keyOf = (entry: Descriptor): string => {
    const name = nameOf(entry);
    return name === null ? '' : formatReference(name);
  };
  const ranked = images.map((entry) => ({ entry, key: keyOf(entry), rank: rankOf(entry, platforms) }));
  const best = new Map<string, number>();
  for (const { key, rank } of ranked)
    if (rank !== null) best.set(key, Math.min(rank, best.get(key) ?? Infinity));
  const isTaken = ({ key, rank }: (typeof ranked)[number]): boolean =>
    !best.has(key) || (key === '' ? rank !== null : rank === best.get(key));
  return ranked.filter(isTaken).map(({ entry }) => entry);
}

/**
 * Reads an OCI image layout; of an image for several platforms the best one. Errors: `invalidArgument`,
 * `notFound`, `tooLarge`.
 */
export async function readOciLayout(
  index: ArchiveIndex,
  platforms: LayoutPlatforms,
): Promise<OfferedImage[]> {
  const layout = new Layout(index, platforms);
  const top = await layout.read(LAYOUT_INDEX);
  if (top.kind !== 'index')
    throw new EngineError('invalidArgument', 'invalid index.json: it is not an index');
  checkImageCount(top.manifests.length);
  const images = new Map<Digest, OfferedImage>();
  for (const entry of imagesOf(top.manifests, platforms)) {
    const { config, layers } = await layout.manifest(entry.digest);
    const name = nameOf(entry);
    const names = [...(images.get(config)?.names ?? []), ...(name === null ? [] : [name])];
    images.set(config, { config: index.document(blobPath(config), LIMITS.imageConfigBytes), layers, names });
  }
  return [...images.values()];
}
