/* The byte ranges of the protocol: `Content-Range` of a blob, `Range` of an upload under way. */

export interface ContentRange {
  readonly start: number;
  /** Of the last byte, included. */
  readonly end: number;
  /** Null: the server does not say. */
  readonly totalBytes: number | null;
}

function count(text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : NaN;
}

/** `bytes 10-99/200` (RFC 9110, section 14.4); null when it is anything else. */
export function parseContentRange(header: string | undefined): ContentRange | null {
  const match = /^\s*bytes\s+(\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)\s*$/i.exec(header ?? '');
  if (match === null) return null;
  const start = count(match[1] ?? '');
  const end = count(match[2] ?? '');
  const totalBytes = match[3] === '*' ? null : count(match[3] ?? '');
  if (Number.isNaN(start) || Number.isNaN(end) || Number.isNaN(totalBytes) || start > end) return null;
  return totalBytes !== null && end >= totalBytes ? null : { start, end, totalBytes };
}

/**
 * How many bytes an upload has: `0-99` says 100. Registries write `0-0` for an empty one and for one of a
 * single byte; it counts as empty. Null: it cannot be read.
 */
export function parseUploadRange(header: string | undefined): number | null {
  const match = /^\s*(?:bytes[= ])?0-(\d{1,16})\s*$/i.exec(header ?? '');
  const end = count(match?.[1] ?? '');
  if (match === null || Number.isNaN(end)) return null;
  return end === 0 ? 0 : end + 1;
}
