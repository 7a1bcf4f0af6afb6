import { EngineError } from '#base/errors.ts';
import { checkFilterKeys, matchLabels } from '#api/filters.ts';
import { invalidFilterName, invalidFilterValue } from '#api/messages.ts';
import { timeFilterMs } from '#api/timestamp.ts';
import { familiarName, familiarReference, type Reference } from '#oci/reference.ts';
import type { ImageDeps } from './deps.ts';
import { globMatches } from './glob.ts';
import type { Image, ImageFilters, ImageSummary, ListOptions } from './image-service.ts';
import { resolveImage } from './resolve.ts';

const LIST_FILTERS: ReadonlySet<string> = new Set([
  'dangling',
  'label',
  'before',
  'since',
  'reference',
  'until',
]);
const ZERO_TIME_SECONDS = -62_135_596_800;
const TRUE = ['1', 'true'];
const FALSE = ['0', 'false'];

export function createdMs(image: Image): number {
  return image.config.created === null ? ZERO_TIME_SECONDS * 1000 : Date.parse(image.config.created);
}

export function createdSeconds(image: Image): number {
  return Math.floor(createdMs(image) / 1000);
}

/**
 * The value of a filter that is true or false; undefined when it was not given. Other words beside one of the
 * two are nothing. Errors: `invalidArgument`.
 */
export function booleanFilter(filters: ImageFilters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) return undefined;
  if (values.length === 0) throw new EngineError('invalidArgument', invalidFilterName(name));
  const isTrue = values.some((value) => TRUE.includes(value));
  const isFalse = values.some((value) => FALSE.includes(value));
  if (isTrue !== isFalse) return isTrue;
  throw new EngineError('invalidArgument', invalidFilterValue(name, values));
}

interface Selection {
  readonly dangling: boolean | undefined;
  readonly beforeMs: number | null;
  readonly sinceMs: number | null;
  readonly labels: readonly string[];
  readonly patterns: readonly string[];
}

function selectionOf(deps: ImageDeps, filters: ImageFilters): Selection {
  checkFilterKeys(filters, LIST_FILTERS);
  const dangling = booleanFilter(filters, 'dangling');
  const times = (name: string): number[] =>
    (filters.get(name) ?? []).map((value) => createdMs(resolveImage(deps.store, value)));
  const untils = filters.get('until') ?? [];
  const before = [
    ...times('before'),
    ...untils.map((value) => timeFilterMs(value, { nowMs: Date.now(), kind: 'internal' })),
  ];
  const since = times('since');
  return {
    dangling,
    beforeMs: before.length === 0 ? null : Math.min(...before),
    sinceMs: since.length === 0 ? null : Math.max(...since),
    labels: filters.get('label') ?? [],
    patterns: filters.get('reference') ?? [],
  };
}

function referenceMatches(reference: Reference, patterns: readonly string[]): boolean {
  return patterns.some(
    (pattern) =>
      globMatches(pattern, familiarReference(reference)) || globMatches(pattern, familiarName(reference)),
  );
}

function namesOf(deps: ImageDeps, image: Image, patterns: readonly string[]): readonly Reference[] {
  const all = deps.store.referencesOf(image.id);
  return patterns.length === 0 ? all : all.filter((reference) => referenceMatches(reference, patterns));
}

function selected(image: Image, selection: Selection): boolean {
  if (selection.beforeMs !== null && createdMs(image) >= selection.beforeMs) return false;
  if (selection.sinceMs !== null && createdMs(image) <= selection.sinceMs) return false;
  return matchLabels(selection.labels, image.config.defaults.labels);
}

/** Layers by the number of images they are part of. */
function sharers(deps: ImageDeps): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of deps.store.ids()) {
    for (const chainId of deps.store.chain(id)) counts.set(chainId, (counts.get(chainId) ?? 0) + 1);
  }
  return counts;
}

function sharedSize(deps: ImageDeps, image: Image, counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const chainId of deps.store.chain(image.id)) {
    if ((counts.get(chainId) ?? 0) > 1) sum += deps.storage.snapshotter.layer(chainId)?.sizeBytes ?? 0;
  }
  return sum;
}

/** What `images` shows, newest first. Errors: `invalidArgument`, `notFound` for an image in a filter. */
export function listImages(deps: ImageDeps, options: ListOptions): readonly ImageSummary[] {
  const selection = selectionOf(deps, options.filters ?? new Map());
  const counts = options.sharedSize === true ? sharers(deps) : null;
  const images = deps.store.ids().flatMap((id) => {
    const image = deps.store.get(id);
    return image === null ? [] : [{ image, createdMs: createdMs(image) }];
  });
  images.sort((a, b) => b.createdMs - a.createdMs);
  return images.flatMap(({ image }) => {
    if (!selected(image, selection)) return [];
    const names = namesOf(deps, image, selection.patterns);
    if (selection.patterns.length > 0 && names.length === 0) return [];
    if (names.length === 0) {
      if (options.all !== true && deps.store.children(image.id).length > 0) return [];
      if (selection.dangling === false) return [];
    } else if (selection.dangling === true) return [];
    return [
      {
        Containers: deps.users.containersUsing(image.id).length,
        Created: createdSeconds(image),
        Id: image.id,
        Labels: image.config.defaults.labels,
        ParentId: image.parent,
        RepoDigests: names.filter((name) => name.digest !== null).map(familiarReference),
        RepoTags: names.filter((name) => name.digest === null).map(familiarReference),
        SharedSize: counts === null ? -1 : sharedSize(deps, image, counts),
        Size: image.sizeBytes,
      },
    ];
  });
}
