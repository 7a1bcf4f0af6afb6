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
