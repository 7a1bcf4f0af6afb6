import type { ConfigDifference } from '#api/gantry-images.ts';
import { encodeDefaults } from './encode-config.ts';
import type { ImageDeps } from './deps.ts';
import type { ImageDifference } from './explanation.ts';
import type { Image } from './image-service.ts';
import { resolveImage } from './resolve.ts';

function configOf({ config }: Image): Readonly<Record<string, unknown>> {
  const { os, architecture, variant } = config;
  return { Architecture: architecture, Os: os, Variant: variant, ...encodeDefaults(config.defaults) };
}

function configDifferences(before: Image, after: Image): readonly ConfigDifference[] {
  const [old, now] = [configOf(before), configOf(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .sort()
    .map((Field) => ({ Field, Before: old[Field] ?? null, After: now[Field] ?? null }))
    .filter(({ Before, After }) => JSON.stringify(Before) !== JSON.stringify(After));
}

/** What leads from one image to another. Errors: `notFound`, `invalidArgument`. */
export function diffImages(deps: ImageDeps, names: { before: string; after: string }): ImageDifference {
  const before = resolveImage(deps.store, names.before);
  const after = resolveImage(deps.store, names.after);
  const [oldChain, newChain] = [deps.store.chain(before.id), deps.store.chain(after.id)];
  const differs = oldChain.findIndex((chainId, index) => newChain[index] !== chainId);
  return {
    Before: { Id: before.id, Size: before.sizeBytes },
    After: { Id: after.id, Size: after.sizeBytes },
    SharedLayers: differs < 0 ? oldChain.length : differs,
    Config: configDifferences(before, after),
    files: deps.storage.trees.compare(before.chainId, after.chainId),
  };
}
