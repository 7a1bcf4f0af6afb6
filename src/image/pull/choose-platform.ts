import { EngineError } from '#base/errors.ts';
import { noMatchingManifest } from '#api/messages.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import type { ImageIndex } from '#oci/manifest.ts';
import { formatPlatform, platformRank, type Platform } from '#oci/platform.ts';

/** Attestations and the like: they are no images. */
function isUnknown(platform: Platform | undefined): boolean {
  return platform?.os === 'unknown' || platform?.architecture === 'unknown';
}

/** How many platforms a hint names. */
const SHOWN = 10;
/** What is not written like this comes from a registry or an archive that means no good. */
const SHOWABLE = /^[\w.+()/-]{1,64}$/;

/** Those that have a rank (0 is the best); equal ones stay in their order. */
export function bestFirst(
  entries: readonly Descriptor[],
  rankOf: (entry: Descriptor) => number | null,
): readonly { readonly entry: Descriptor; readonly rank: number }[] {
  const ranked = entries.flatMap((entry) => {
    const rank = rankOf(entry);
    return rank === null ? [] : [{ entry, rank }];
  });
  // Infinity less itself is no number.
  return ranked.toSorted((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank));
}

/**
 * The entry of a list for a platform, `undefined` meaning this machine's: the best that it runs, the first of
 * equal ones. An entry that names no platform is taken where nothing else fits. Errors: `notFound` with the
 * reference's text.
 */
export function choosePlatform(index: ImageIndex, asked: Platform | undefined, host: Platform): Descriptor {
  const [best] = bestFirst(index.manifests, ({ platform }) =>
    platform === undefined ? Infinity : platformRank(asked ?? host, platform),
  );
  if (best !== undefined) return best.entry;
  const { os, architecture } = host;
  throw new EngineError('notFound', noMatchingManifest(formatPlatform(asked ?? { os, architecture })), {
    hint: offersHint(index.manifests),
  });
}

/** What a list has instead: a few names, and how many there are besides. */
export function offersHint(entries: readonly Descriptor[]): string {
  const names = new Set(
    entries.flatMap(({ platform }) =>
      platform === undefined || isUnknown(platform) ? [] : [formatPlatform(platform)],
    ),
  );
  const shown = [...names].filter((name) => SHOWABLE.test(name)).slice(0, SHOWN);
  const more = names.size - shown.length;
  if (names.size === 0) return 'There is one for no platform at all.';
  if (shown.length === 0) return `There is one for ${more} whose names cannot be shown.`;
  return `There is one for ${shown.join(', ')}${more === 0 ? '' : ` and ${more} more`}.`;
}
