import { EngineError } from '#base/errors.ts';
import { checkFilterKeys } from '#api/filters.ts';
import { invalidFilterValue } from '#api/messages.ts';
import type { RegistryClient, SearchResult } from '#registry/client.ts';
import type { ImageFilters, SearchOptions } from './image-service.ts';
import { booleanFilter } from './list.ts';

const SEARCH_FILTERS: ReadonlySet<string> = new Set(['is-automated', 'is-official', 'stars']);

/** `host:port/term` asks that registry; anything else asks Docker Hub. */
export function splitTerm(text: string): { readonly index: string; readonly term: string } {
  if (text.includes('://'))
    throw new EngineError(
      'invalidArgument',
      `invalid repository name: repository name (${text}) should not have a scheme`,
    );
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  if (/[.:]/.test(first) || first === 'localhost') return { index: first, term: text.slice(slash + 1) };
  return { index: '', term: text.replace(/^library\//, '') };
}

function mostStars(filters: ImageFilters): number {
  const values = (filters.get('stars') ?? []).map((value) => {
    if (!/^\d{1,15}$/.test(value))
      throw new EngineError('invalidArgument', invalidFilterValue('stars', [value]));
    return Number(value);
  });
  return Math.max(0, ...values);
}

/** See `ImageService.search`. Errors: `invalidArgument` for a filter. */
export async function searchImages(
  registry: Pick<RegistryClient, 'search'>,
  text: string,
  options: SearchOptions,
): Promise<readonly SearchResult[]> {
  const { filters, limit, credentials } = options;
  checkFilterKeys(filters, SEARCH_FILTERS);
  const isAutomated = booleanFilter(filters, 'is-automated');
  const isOfficial = booleanFilter(filters, 'is-official');
  const stars = mostStars(filters);
  const { index, term } = splitTerm(text);
  const found = await registry.search(index, { term, limit, credentials });
  return found.filter(
    (result) =>
      (isAutomated === undefined || result.isAutomated === isAutomated) &&
      (isOfficial === undefined || result.isOfficial === isOfficial) &&
      result.starCount >= stars,
  );
}
