import { LIMITS } from '#base/limits.ts';
import { Fault, STATUS } from './fault.ts';

export interface Page {
  readonly items: readonly string[];
  /** Value of the `Link` header, when there is more. */
  readonly link: string | null;
}

/** How many are wanted. Null: all. Errors: 400. */
function wantedCount(query: URLSearchParams): number | null {
  const text = query.get('n');
  if (text === null || text === '') return null;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (count < 0)
    throw new Fault(STATUS.badRequest, 'PAGINATION_NUMBER_INVALID', { detail: { n: text.slice(0, 64) } });
  return count;
}

/** Index of the first item behind `last`. */
function behind(sorted: readonly string[], last: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') <= last) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A page by `n` and `last` of what is sorted; nobody gets more than `LIMITS.listPage` at once. */
export function pageOf(sorted: readonly string[], path: string, query: URLSearchParams): Page {
  const wanted = wantedCount(query);
  const count = Math.min(wanted ?? LIMITS.listPage, LIMITS.listPage);
  const last = query.get('last') ?? '';
  const start = last === '' ? 0 : behind(sorted, last);
  const items = sorted.slice(start, start + count);
  const end = items.at(-1);
  const hasMore = end !== undefined && start + count < sorted.length;
  const next = new URLSearchParams({ n: String(count), last: end ?? '' });
  return { items, link: hasMore ? `<${path}?${next.toString()}>; rel="next"` : null };
}
