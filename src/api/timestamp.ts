import { EngineError } from '#base/errors.ts';
import { badInteger } from './messages.ts';

const NANOS_PER_SECOND = 1_000_000_000n;

/**
 * Seconds since the epoch with an optional fraction of up to nine digits, as `since` and `until` travel, in
 * nanoseconds. Null for an empty text. Errors have the text that the reference's number parser gives.
 */
export function parseTimestampNanos(text: string | null | undefined): bigint | null {
  if (text === null || text === undefined || text === '') return null;
  const at = text.indexOf('.');
  const whole = at < 0 ? text : text.slice(0, at);
  const fraction = at < 0 ? '' : text.slice(at + 1);
  if (!/^[+-]?\d+$/.test(whole)) throw new EngineError('internal', badInteger('ParseInt', whole));
  if (fraction !== '' && !/^\d+$/.test(fraction))
    throw new EngineError('internal', badInteger('ParseInt', fraction));
  return BigInt(whole.replace('+', '')) * NANOS_PER_SECOND + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/** The form the query parameters have: `1700000000.000000123`. */
export function formatTimestampNanos(nanos: bigint): string {
  return `${nanos / NANOS_PER_SECOND}.${(nanos % NANOS_PER_SECOND).toString().padStart(9, '0')}`;
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;

/** Nanoseconds of an RFC 3339 time; null when it is none. */
export function parseRfc3339Nanos(text: string): bigint | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const ms = Date.parse(`${text.slice(0, 10)}T${text.slice(11, 19)}${match[8]?.toUpperCase() ?? 'Z'}`);
  if (Number.isNaN(ms)) return null;
  return BigInt(ms / 1000) * NANOS_PER_SECOND + BigInt((match[7] ?? '').padEnd(9, '0'));
}
