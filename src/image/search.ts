import { EngineError } from '#base/errors.ts';
import { checkFilterKeys } from '#api/filters.ts';
import { badInteger, integerRange, invalidFilterReason } from '#api/messages.ts';
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

const LARGEST = 2n ** 63n;

/** As Go's `Atoi` reads it, on 64 bits. */
function starsOf(text: string): number {
  const refuse = (why: string): EngineError =>
    new EngineError('invalidArgument', invalidFilterReason('stars', { value: text, why }));
  if (!/^[+-]?\d+$/.test(text)) throw refuse(badInteger('Atoi', text));
  const value = BigInt(text.replace('+', ''));
  if (value >= LARGEST || value < -LARGEST) throw refuse(integerRange('Atoi', text));
  return Number(value);
}

/** Null: any number will do, even one below zero. */
function fewestStars(filters: ImageFilters): number | null {
  const values = filters.get('stars');
  return values === undefined ? null : Math.max(0, ...values.map(starsOf));
}

/** See `ImageService.search`. Nothing is built automatically any more, as far as clients are told. Errors: `invalidArgument` for a filter. */
export async function searchImages(
  registry: Pick<RegistryClient, 'search'>,
  text: string,
  options: SearchOptions,
): Promise<readonly SearchResult[]> {
  const { filters, limit, credentials } = options;
  checkFilterKeys(filters, SEARCH_FILTERS);
  if (booleanFilter(filters, 'is-automated') === true) return [];
  const isOfficial = booleanFilter(filters, 'is-official');
  const stars = fewestStars(filters);
  const { index, term } = splitTerm(text);
  const found = await registry.search(index, { term, limit, credentials });
  return found.flatMap((result) => {
    if (isOfficial !== undefined && result.isOfficial !== isOfficial) return [];
    if (stars !== null && result.starCount < stars) return [];
    return [{ ...result, isAutomated: false }];
  });
}
