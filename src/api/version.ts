import { tooNew, tooOld } from './messages.ts';

/** Newest and oldest version of the Engine API spoken here. */
export const API_VERSION = '1.51';
export const MIN_API_VERSION = '1.24';

/**
 * Negative, zero or positive as `a` is older than, equal to or newer than `b`; missing parts count as zero.
 */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (Number(left[i] ?? 0) || 0) - (Number(right[i] ?? 0) || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export const isAtLeast = (version: string, wanted: string): boolean => compareVersions(version, wanted) >= 0;
export const isBelow = (version: string, limit: string): boolean => compareVersions(version, limit) < 0;

export type VersionCheck =
  | { readonly ok: true }
  /** The reference answers "too old" as plain text and "too new" as JSON. */
  | { readonly ok: false; readonly form: 'text' | 'json'; readonly message: string };

/** Whether a request for this version can be answered. */
export function checkVersion(version: string): VersionCheck {
  if (isBelow(version, MIN_API_VERSION))
    return { ok: false, form: 'text', message: tooOld(version, MIN_API_VERSION) };
  if (compareVersions(version, API_VERSION) > 0)
    return { ok: false, form: 'json', message: tooNew(version, API_VERSION) };
  return { ok: true };
}

/**
 * What a client speaks after it saw the `Api-Version` of a ping: the older of both; a daemon that says none
 * is taken for 1.24.
 */
export function negotiateVersion(offered: string | undefined, own: string = API_VERSION): string {
  const theirs = offered === undefined || offered === '' ? MIN_API_VERSION : offered;
  return isBelow(theirs, own) ? theirs : own;
}
