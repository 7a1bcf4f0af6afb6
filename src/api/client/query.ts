import type { Query } from './client.ts';

/** The generated query types are interfaces; the client takes any record of values. */
export function asQuery<T extends object>(value: T | undefined): Query | undefined {
  return value && { ...(value as Query) };
}
