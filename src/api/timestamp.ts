import { EngineError, type ErrorKind } from '#base/errors.ts';
import { badInteger, badTime } from './messages.ts';
import { parseByLayout } from './time-layout.ts';

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

/** Units of durations, as Go spells them. */
export const NANOS_OF_UNIT: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);
const DURATION = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
/** Longer ones are none. */
export const MAX_DURATION_NANOS = 2 ** 63;

/** `1h30m`, `-1.5h`; null when it is no duration. */
function durationNanos(text: string): bigint | null {
  if (text === '+0' || text === '-0') return 0n;
  if (!DURATION.test(text)) return null;
  let nanos = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)([^\d.]+)/g))
    nanos += Number(amount) * (NANOS_OF_UNIT.get(unit ?? '') ?? 0);
  if (nanos >= MAX_DURATION_NANOS) return null;
  return BigInt(Math.trunc(nanos)) * (text.startsWith('-') ? -1n : 1n);
}

/** The pattern that a date has, by the signs in it; a text without a zone is in the engine's own. */
function layoutOf(text: string): string {
  const isLocal = !/[zZ+]/.test(text) && text.split('-').length !== 4;
  const zone = isLocal ? '' : 'Z07:00';
  if (text.includes('.')) return `2006-01-02T15:04:05.999999999${zone}`;
  if (!text.includes('T')) return `2006-01-02${zone}`;
  const colons = text.split(':').length - 1;
  const ofTime = isLocal || /[zZ]/.test(text) || colons === 0 ? colons : colons - 1;
  if (ofTime === 0) return `2006-01-02T15${zone}`;
  return ofTime === 1 ? `2006-01-02T15:04${zone}` : `2006-01-02T15:04:05${zone}`;
}

const INT64_MAX = 2n ** 63n - 1n;

function isTimestamp(text: string): boolean {
  const [whole = '', fraction = ''] = /^([+-]?\d+)(?:\.(\d*))?$/.exec(text)?.slice(1) ?? [];
  return whole !== '' && BigInt(whole.replace('+', '')) <= INT64_MAX && BigInt(fraction || '0') <= INT64_MAX;
}

interface TimeContext {
  readonly nowMs: number;
  /** Of its errors: routes of the reference differ. */
  readonly kind: ErrorKind;
}

/**
 * A time as the filter `until` has it: how long ago (`24h`), a date with or without time and zone, or seconds
 * since the epoch. In nanoseconds since the epoch. Errors: of the given kind, with the reference's texts.
 */
function parseTimeNanos(text: string, { nowMs, kind }: TimeContext): bigint {
  const duration = durationNanos(text);
  // Whole seconds, as they would travel.
  if (duration !== null) {
    const nanos = BigInt(nowMs) * 1_000_000n - duration;
    return nanos - (((nanos % NANOS_PER_SECOND) + NANOS_PER_SECOND) % NANOS_PER_SECOND);
  }
  const offsetMinutes = -new Date(nowMs).getTimezoneOffset();
  const date = parseByLayout(text, { layout: layoutOf(text), offsetMinutes });
  if ('nanos' in date) return date.nanos;
  if (text.includes('-')) throw new EngineError(kind, date.error);
  if (!isTimestamp(text)) throw new EngineError(kind, badTime(text));
  return parseTimestampNanos(text) ?? 0n;
}

/** The value of a filter that is a time, in milliseconds. Errors: as `parseTimeNanos`. */
export function timeFilterMs(text: string, context: TimeContext): number {
  return Number(parseTimeNanos(text, context) / 1_000_000n);
}

/** The filter `until` of prunes: one at most; null without. Errors: of the given kind. */
export function pruneUntilMs(values: readonly string[] | undefined, context: TimeContext): number | null {
  const [only, ...others] = values ?? [];
  if (only === undefined) return null;
  if (others.length > 0) throw new EngineError(context.kind, 'more than one until filter specified');
  return timeFilterMs(only, context);
}
