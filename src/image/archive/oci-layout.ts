import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import { parseManifestOrIndex, type Manifest } from '#oci/manifest.ts';
import { formatPlatform, hostPlatform, platformMatches, type Platform } from '#oci/platform.ts';
import { parseReference, withDefaultTag, type Reference } from '#oci/reference.ts';
import type { ArchiveIndex } from './archive-index.ts';
import type { OfferedImage } from './docker-archive.ts';

export const LAYOUT_INDEX = 'index.json';

const NESTING_MAX = 4;
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

/**
 * Reads an OCI image layout; of an image for several platforms the wanted one. Errors: `invalidArgument`,
 * `notFound`.
 */
export function readOciLayout(index: ArchiveIndex, platforms: readonly Platform[]): OfferedImage[] {
  const wanted = platforms.length === 0 ? [hostPlatform()] : platforms;
  const read = (path: string): ReturnType<typeof parseManifestOrIndex> =>
    parseManifestOrIndex(index.document(path, LIMITS.manifestBytes));
  const top = read(LAYOUT_INDEX);
  if (top.kind !== 'index')
    throw new EngineError('invalidArgument', 'invalid index.json: it is not an index');
  const images = new Map<Digest, OfferedImage>();
  for (const entry of top.manifests) {
    // Statements about other manifests (provenance, signatures) are no images.
    if (entry.platform?.os === 'unknown') continue;
    const manifest = findManifest(entry, read, wanted);
    const name = nameOf(entry);
    const earlier = images.get(manifest.config.digest);
    images.set(manifest.config.digest, {
      config: index.document(blobPath(manifest.config.digest), LIMITS.imageConfigBytes),
      layers: manifest.layers.map((layer) => index.layer(blobPath(layer.digest))),
      names: [...(earlier?.names ?? []), ...(name === null ? [] : [name])],
    });
  }
  return [...images.values()];
}

function findManifest(
  entry: Descriptor,
  read: (path: string) => ReturnType<typeof parseManifestOrIndex>,
  platforms: readonly Platform[],
): Manifest {
  let current = entry;
  for (let depth = 0; depth < NESTING_MAX; depth++) {
    const document = read(blobPath(current.digest));
    if (document.kind === 'manifest') return document;
    current = choose(document.manifests, platforms);
  }
  throw new EngineError('invalidArgument', 'invalid image archive: indexes nested too deeply');
}
