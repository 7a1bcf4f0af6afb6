import { ZERO_TIME } from '#base/clock.ts';
import type { Platform } from '#oci/platform.ts';
import type { ImageDeps } from './deps.ts';
import { encodeDefaults } from './encode-config.ts';
import type { ImageHistoryItem } from './image-service.ts';
import { createdSeconds } from './list.ts';
import { resolveImage } from './resolve.ts';

/** `ImageInspect` of the API. Errors: `notFound`, `invalidArgument`. */
export function inspectImage(
  deps: ImageDeps,
  nameOrId: string,
  platform?: Platform,
): Record<string, unknown> {
  const image = resolveImage(deps.store, nameOrId, platform);
  const { config } = image;
  const { snapshotter } = deps.storage;
  const driver = image.chainId === null ? null : snapshotter.graphDriverData({ layer: image.chainId });
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: image.parent,
    Comment: config.comment || (config.history.at(-1)?.comment ?? ''),
    Created: config.created ?? ZERO_TIME,
    DockerVersion: config.dockerVersion,
    Author: config.author,
    Architecture: config.architecture,
    ...(config.variant === '' ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config.osVersion === '' ? {} : { OsVersion: config.osVersion }),
    Size: image.sizeBytes,
    GraphDriver: { Data: driver === null ? null : driver.data, Name: snapshotter.name },
    RootFS: config.diffIds.length === 0 ? { Type: 'layers' } : { Type: 'layers', Layers: config.diffIds },
    Metadata: { LastTagTime: image.lastTagTime === '' ? ZERO_TIME : image.lastTagTime },
    Config: encodeDefaults(config.defaults),
  };
}

/** Newest step first; only the top one has an id, unless parents of it are here. */
export function imageHistory(
  deps: ImageDeps,
  nameOrId: string,
  platform?: Platform,
): readonly ImageHistoryItem[] {
  const image = resolveImage(deps.store, nameOrId, platform);
  const chain = deps.store.chain(image.id);
  let layer = 0;
  const items: ImageHistoryItem[] = image.config.history.map((entry) => {
    const chainId = entry.emptyLayer ? undefined : chain[layer++];
    const size = chainId === undefined ? 0 : (deps.storage.snapshotter.layer(chainId)?.sizeBytes ?? 0);
    const created = entry.created === '' ? Number.NaN : Date.parse(entry.created);
    return {
      Comment: entry.comment,
      Created: Number.isNaN(created) ? 0 : Math.floor(created / 1000),
      CreatedBy: entry.createdBy,
      Id: '<missing>',
      Size: size,
      Tags: null,
    };
  });
  if (items.length === 0) {
    items.push({
      Comment: '',
      Created: createdSeconds(image),
      CreatedBy: '',
      Id: '',
      Size: image.sizeBytes,
      Tags: null,
    });
  }
  items.reverse();
  const [top, ...rest] = items;
  if (top === undefined) return [];
  return [{ ...top, Id: image.id, Tags: image.repoTags.length === 0 ? null : image.repoTags }, ...rest];
}
