import { EngineError } from '#base/errors.ts';
import { badInteger } from '#api/messages.ts';

const FALSE = new Set(['', '0', 'no', 'false', 'none']);

/** Everything but a few words is true, as in the reference. */
export function queryFlag(query: URLSearchParams, name: string): boolean {
  return !FALSE.has((query.get(name) ?? '').trim().toLowerCase());
}

export function queryText(query: URLSearchParams, name: string): string {
  return query.get(name) ?? '';
}

/**
 * Absent or empty: undefined. Anything but a whole number is an error with the reference's text (and its
 * status, 500); one that is beyond all counting stands for the largest.
 */
export function queryInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw new EngineError('internal', badInteger('Atoi', text));
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number(text), Number.MAX_SAFE_INTEGER));
}
