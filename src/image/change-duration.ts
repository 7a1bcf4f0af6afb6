import { EngineError } from '#base/errors.ts';

/*
 * Durations as Go reads and refuses them: `1h30m`, `1.5s`, `-2ms`, `0`.
 */

const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const MOST_NS = 2 ** 63;

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
    if (number === undefined || Number.parseInt(number, 10) >= MOST_NS) throw bad('invalid');
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? '';
    rest = rest.slice(unit.length);
    if (unit === '') throw bad('missing unit in');
    const scale = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
    if (scale === undefined) throw bad(`unknown unit ${quoted(unit)} in`);
    sum += Number(number) * scale;
    if (sum >= MOST_NS) throw bad('invalid');
  }
  return Math.trunc(negative ? -sum : sum);
}
