import { EngineError } from '#base/errors.ts';
import { isJsonObject, parseJson } from '#base/json.ts';
import { invalidFilterName, invalidFilterSyntax } from './messages.ts';

/**
 * Each key with its values, in the order they were written. Keys come from clients: a map, never an object.
 */
export type Filters = ReadonlyMap<string, readonly string[]>;

export const NO_FILTERS: Filters = new Map();

const bad = (): EngineError => new EngineError('invalidArgument', invalidFilterSyntax());

/**
 * The `filters` query parameter: `{"key":["a","b"]}`, or `{"key":{"a":true}}` as old clients write it.
 * Errors: `invalidArgument`, `invalid filter`.
 */
export function parseFilters(text: string | null | undefined): Filters {
  if (text === null || text === undefined || text === '') return NO_FILTERS;
  let parsed: unknown;
  try {
    parsed = parseJson(text, 'filters');
  } catch {
    throw bad();
  }
  if (!isJsonObject(parsed)) throw bad();
  const filters = new Map<string, readonly string[]>();
  for (const [key, value] of Object.entries(parsed)) filters.set(key, filterValues(value));
  return filters;
}

function filterValues(value: unknown): readonly string[] {
  if (Array.isArray(value)) {
    if (!value.every((v): v is string => typeof v === 'string')) throw bad();
    return [...new Set(value)];
  }
  if (!isJsonObject(value)) throw bad();
  return Object.entries(value).flatMap(([name, on]) => {
    if (typeof on !== 'boolean') throw bad();
    return on ? [name] : [];
  });
}

/** Refuses keys that a list does not know: `invalid filter 'x'`. */
export function checkFilterKeys(filters: Filters, accepted: ReadonlySet<string>): void {
  for (const key of filters.keys()) {
    if (!accepted.has(key)) throw new EngineError('invalidArgument', invalidFilterName(key));
  }
}

/** `label=a` or `label=a=b` against labels: every wanted one must be there. */
export function matchLabels(
  wanted: readonly string[],
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return wanted.every((term) => {
    const at = term.indexOf('=');
    const key = at < 0 ? term : term.slice(0, at);
    if (labels === null || labels === undefined || !Object.hasOwn(labels, key)) return false;
    return at < 0 || labels[key] === term.slice(at + 1);
  });
}
