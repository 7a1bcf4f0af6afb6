import { EngineError } from '#base/errors.ts';
import { noMatchingManifest } from '#api/messages.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import type { ImageIndex } from '#oci/manifest.ts';
import { formatPlatform, platformRank, type Platform } from '#oci/platform.ts';

/** Attestations and the like: they are no images. */
function isUnknown(platform: Platform | undefined): boolean {
  return platform?.os === 'unknown' || platform?.architecture === 'unknown';
}

/**
 * The entry of a list for a platform, `undefined` meaning this machine's: the best that it runs, the first of
 * equal ones. An entry that names no platform is taken where nothing else fits. Errors: `notFound` with the
 * reference's text.
 */
export function choosePlatform(index: ImageIndex, asked: Platform | undefined, host: Platform): Descriptor {
  const ranked = index.manifests.flatMap((entry) => {
    const rank = entry.platform === undefined ? Infinity : platformRank(asked ?? host, entry.platform);
    return rank === null ? [] : [{ entry, rank }];
  });
  const [best] = ranked.toSorted((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank));
  if (best !== undefined) return best.entry;
  const { os, architecture } = host;
  throw new EngineError('notFound', noMatchingManifest(formatPlatform(asked ?? { os, architecture })), {
    hint: `There is one for ${offers(index.manifests.filter(({ platform }) => !isUnknown(platform)))}.`,
  });
}

function offers(images: readonly Descriptor[]): string {
  const names = images.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  return names.length === 0 ? 'no platform at all' : [...new Set(names)].join(', ');
}
