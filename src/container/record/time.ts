/**
 * Nanoseconds since the epoch of an RFC 3339 time in UTC with up to nine fractional digits; null when it is
 * not one.
 */
export function parseTimeNanos(text: string): bigint | null {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null) return null;
  const seconds = Date.parse(`${match[1]}Z`);
  if (Number.isNaN(seconds)) return null;
  return BigInt(seconds) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** Always nine fractional digits, as log lines show times. */
export function fixedTime(text: string): string {
  const at = text.indexOf('.');
  if (at < 0) return text.replace('Z', '.000000000Z');
  return `${text.slice(0, at)}.${text.slice(at + 1, -1).padEnd(9, '0')}Z`;
}
