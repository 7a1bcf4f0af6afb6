import { EngineError } from '#base/errors.ts';
import { noMatchingManifest } from '#api/messages.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import type { ImageIndex } from '#oci/manifest.ts';
import { hostPlatform, normalizePlatform, platformRuns, type Platform } from '#oci/platform.ts';

/** Attestations and the like: they are no images. */
function isUnknown(platform: Platform | undefined): boolean {
  return platform?.os === 'unknown' || platform?.architecture === 'unknown';
}

/** Own architecture before one that it can run as well, then the newest variant. */
function betterFirst(wanted: Platform): (a: Descriptor, b: Descriptor) => number {
  const own = (entry: Descriptor): number =>
    entry.platform?.architecture === normalizePlatform(wanted).architecture ? 0 : 1;
  const variant = (entry: Descriptor): string => entry.platform?.variant ?? '';
  return (a, b) => own(a) - own(b) || (variant(a) < variant(b) ? 1 : variant(a) > variant(b) ? -1 : 0);
}

/**
 * The entry of a list for a platform, `undefined` meaning this machine's. An entry that names no platform is
 * taken where nothing else fits. Errors: `notFound` with the reference's text.
 */
export function choosePlatform(index: ImageIndex, asked: Platform | undefined): Descriptor {
  const wanted = asked ?? hostPlatform();
  const images = index.manifests.filter(({ platform }) => !isUnknown(platform));
  const fitting = images
    .filter(({ platform }) => platform !== undefined && platformRuns(wanted, platform))
    .sort(betterFirst(wanted));
  const nameless = images.filter(({ platform }) => platform === undefined);
  const chosen = fitting[0] ?? (images.length === nameless.length ? nameless[0] : undefined);
  if (chosen === undefined)
    throw new EngineError('notFound', noMatchingManifest(`${wanted.os}/${wanted.architecture}`), {
      hint: `There is one for ${offers(images)}.`,
    });
  return chosen;
}

function offers(images: readonly Descriptor[]): string {
  const names = images.flatMap(({ platform }) =>
    platform === undefined ? [] : [`${platform.os}/${platform.architecture}`],
  );
  return names.length === 0 ? 'no platform at all' : [...new Set(names)].join(', ');
}
