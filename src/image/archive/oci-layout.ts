import { setImmediate } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import { parseManifestOrIndex } from '#oci/manifest.ts';
import { formatPlatform, hostPlatform, platformMatches, type Platform } from '#oci/platform.ts';
import { formatReference, parseReference, withDefaultTag, type Reference } from '#oci/reference.ts';
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

function choose(manifests: readonly Descriptor[], platforms: readonly Platform[]): Descriptor {
  for (const platform of platforms) {
    const found = manifests.find(
      (each) => each.platform !== undefined && platformMatches(platform, each.platform),
    );
    if (found !== undefined) return found;
  }
  const plain = manifests.filter((each) => each.platform === undefined);
  if (plain.length === 1 && plain[0] !== undefined) return plain[0];
  const wanted = platforms.map(formatPlatform).join(', ');
  throw new EngineError('notFound', `no matching manifest for ${wanted} in the image archive`);
}

/** What is needed of a manifest; a digest: of an index, the one to go on with. */
type Step = Pick<OfferedImage, 'layers'> & { readonly config: Digest };

/** The documents of a layout. However many entries name one, it is parsed once. */
class Layout {
  readonly #index: ArchiveIndex;
  readonly #platforms: readonly Platform[];
  readonly #steps = new Map<Digest, Step | Digest>();

  constructor(index: ArchiveIndex, platforms: readonly Platform[]) {
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
 * The entries that are images. Where those of one name are for several platforms, only the wanted one has it;
 * what is alone is taken whatever it is for.
 */
function imagesOf(entries: readonly Descriptor[], platforms: readonly Platform[]): readonly Descriptor[] {
  // Statements about other manifests (provenance, signatures) are no images.
  const images = entries.filter(({ platform }) => platform?.os !== 'unknown');
  const isWanted = ({ platform }: Descriptor): boolean =>
    platform === undefined || platforms.some((each) => platformMatches(each, platform));
  const keyOf = (entry: Descriptor): string => {
    const name = nameOf(entry);
    return name === null ? '' : formatReference(name);
  };
  const served = new Set(images.filter(isWanted).map(keyOf));
  return images.filter((entry) => isWanted(entry) || !served.has(keyOf(entry)));
}

/**
 * Reads an OCI image layout; of an image for several platforms the wanted one. Errors: `invalidArgument`,
 * `notFound`, `tooLarge`.
 */
export async function readOciLayout(
  index: ArchiveIndex,
  given: readonly Platform[],
): Promise<OfferedImage[]> {
  const platforms = given.length === 0 ? [hostPlatform()] : given;
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
