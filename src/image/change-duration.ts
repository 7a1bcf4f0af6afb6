import { EngineError } from '#base/errors.ts';
import { MAX_DURATION_NANOS, NANOS_OF_UNIT } from '#api/timestamp.ts';

/*
 * Durations as Go reads and refuses them: `1h30m`, `1.5s`, `-2ms`, `0`.
 */

/** ASCII as it is, everything else byte by byte. */
function quoted(text: string): string {
  let result = '';
  for (const byte of Buffer.from(text)) {
    const c = String.fromCharCode(byte);
    if (byte < 0x20 || byte >= 0x80) result += `\\x${byte.toString(16).padStart(2, '0')}`;
    else result += c === '"' || c === '\\' ? `\\${c}` : c;
  }
  return `"${result}"`;
}

/** Nanoseconds. Errors: `invalidArgument`. */
export function goDuration(text: string): number {
  const bad = (what: string): EngineError =>
    new EngineError('invalidArgument', `time: ${what} duration ${quoted(text)}`);
  const negative = text.startsWith('-');
  let rest = text.replace(/^[-+]/, '');
  if (rest === '0') return 0;
  if (rest === '') throw bad('invalid');
  let sum = 0;
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined || Number.parseInt(number, 10) >= MAX_DURATION_NANOS) throw bad('invalid');
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? '';
    rest = rest.slice(unit.length);
    if (unit === '') throw bad('missing unit in');
    const scale = NANOS_OF_UNIT.get(unit);
    if (scale === undefined) throw bad(`unknown unit ${quoted(unit)} in`);
    sum += Number(number) * scale;
    if (sum >= MAX_DURATION_NANOS) throw bad('invalid');
  }
  return Math.trunc(negative ? -sum : sum);
}
