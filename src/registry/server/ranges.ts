import type { ByteRange } from '../storage-port.ts';

/*
 * `Range` of RFC 9110, section 14, and `Content-Range` as the distribution specification writes it for
 * chunks: `<start>-<end>`, without a unit.
 */

const DIGITS_MAX = 15;

function count(digits: string): number {
  return digits.length > DIGITS_MAX ? Number.MAX_SAFE_INTEGER : Number(digits);
}

/**
 * What of `sizeBytes` bytes is wanted. `all`: there is no range, or several, or one of another unit, which
 * may be answered with everything.
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | 'all' | 'unsatisfiable' {
  if (header === undefined) return 'all';
  const match = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/.exec(header);
  if (match === null) return 'all';
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (last === '') return 'all';
    const length = Math.min(count(last), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = count(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(count(last), sizeBytes - 1);
  return start >= sizeBytes || end < start ? 'unsatisfiable' : { start, end };
}

/** Null: no such header. `bad`: one that says nothing. */
export function parseChunkRange(header: string | undefined): ByteRange | 'bad' | null {
  if (header === undefined) return null;
  const match = /^(?:bytes[ =])?\s*(\d{1,15})-(\d{1,15})(?:\/[\d*]+)?$/.exec(header.trim());
  if (match === null) return 'bad';
  const [start, end] = [Number(match[1]), Number(match[2])];
  return end < start ? 'bad' : { start, end };
}
