import { checkFilterKeys, matchLabels } from '#api/filters.ts';
import type { PrunePlan } from '#api/gantry-images.ts';
import { pruneUntilMs } from '#api/timestamp.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Digest } from '#oci/digest.ts';
import { familiarReference } from '#oci/reference.ts';
import type { ImageDeps } from './deps.ts';
import type { Image, ImageFilters } from './image-service.ts';
import { booleanFilter, createdMs } from './list.ts';

type PlanDeps = Pick<ImageDeps, 'store' | 'users' | 'held' | 'storage'>;

const PRUNE_FILTERS: ReadonlySet<string> = new Set(['dangling', 'label', 'label!', 'until']);

/** Which images the filters are about. Errors: `invalidArgument`. */
export function pruneChoice(
  deps: Pick<ImageDeps, 'store'>,
  filters: ImageFilters,
): (image: Image) => boolean {
  checkFilterKeys(filters, PRUNE_FILTERS);
  const onlyDangling = booleanFilter(filters, 'dangling') ?? true;
  const until = pruneUntilMs(filters.get('until'), { nowMs: Date.now(), kind: 'internal' });
  return (image) => {
    const { labels } = image.config.defaults;
    if (onlyDangling && deps.store.referencesOf(image.id).length > 0) return false;
    if (until !== null && createdMs(image) > until) return false;
    if (!matchLabels(filters.get('label') ?? [], labels)) return false;
    return !(filters.get('label!') ?? []).some((term) => matchLabels([term], labels));
  };
}

/** The images that go, a child before its parent, in the order in which they would. */
function chosenImages(deps: PlanDeps, wanted: (image: Image) => boolean): ReadonlySet<Digest> {
  const gone = new Set<Digest>();
  const isKept = (id: Digest): boolean =>
    gone.has(id) ||
    deps.held.has(id) ||
    deps.store.children(id).some((child) => !gone.has(child)) ||
    deps.users.containersUsing(id).length > 0;
  const remove = (id: Digest): void => {
    if (isKept(id)) return;
    gone.add(id);
    // A parent without a name goes with its last child.
    const parent = deps.store.record(id)?.parent ?? '';
    if (parent !== '' && deps.store.has(parent) && deps.store.referencesOf(parent).length === 0)
      remove(parent);
  };
  const chosen = deps.store.ids().filter((id) => {
    const image = deps.store.get(id);
    return image !== null && wanted(image);
  });
  // A parent can go when its children are gone.
  for (let before = -1; before < gone.size; ) {
    before = gone.size;
    chosen.forEach(remove);
  }
  return gone;
}

/** Layers that only images of the set have; what a container stands on is part of an image that stays. */
function freedLayers(deps: PlanDeps, gone: ReadonlySet<Digest>): readonly ChainId[] {
  const kept = new Set<ChainId>();
  for (const id of deps.store.ids())
    if (!gone.has(id)) for (const chainId of deps.store.chain(id)) kept.add(chainId);
  const freed = new Set<ChainId>();
  for (const id of gone)
    for (const chainId of deps.store.chain(id)) if (!kept.has(chainId)) freed.add(chainId);
  return [...freed];
}

/** What `pruneImages` would do now. Nothing is touched. Errors: `invalidArgument`. */
export function planPrune(deps: PlanDeps, filters: ImageFilters): PrunePlan {
  const gone = chosenImages(deps, pruneChoice(deps, filters));
  const layers = freedLayers(deps, gone);
  const sizeOf = (chainId: ChainId): number => deps.storage.snapshotter.layer(chainId)?.sizeBytes ?? 0;
  return {
    Images: [...gone].map((id) => ({
      Id: id,
      Names: deps.store.referencesOf(id).map(familiarReference),
      Size: deps.store.get(id)?.sizeBytes ?? 0,
    })),
    Layers: layers,
    SpaceReclaimed: layers.reduce((sum, chainId) => sum + sizeOf(chainId), 0),
  };
}
