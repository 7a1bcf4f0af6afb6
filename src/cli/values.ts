import { UsageError } from './flags.ts';

/** Values of flags as people write them: sizes, durations, numbers of CPUs. Pure. */

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

export interface FlagValue {
  /** As the message names it: `-m, --memory`. */
  readonly flag: string;
  readonly value: string;
}

function invalid(input: FlagValue, why: string): UsageError {
  return new UsageError(
    `invalid argument ${JSON.stringify(input.value)} for ${JSON.stringify(input.flag)} flag: ${why}`,
  );
}

/** `512m`, `1.5g`, `64KiB`, `1024` → bytes; `-1` stays. */
export function parseSize(input: FlagValue): number {
  if (input.value === '-1') return -1;
  const match = /^(\d+(?:\.\d+)?) ?([a-zA-Z]*)$/.exec(input.value);
  if (match === null) throw invalid(input, `invalid size: '${input.value}'`);
  const suffix = (match[2] ?? '').toLowerCase();
  const unit = SIZE_UNITS[suffix.replace(/i?b$/, '') || (suffix === 'b' ? 'b' : suffix.replace(/i?b$/, ''))];
  if (unit === undefined) throw invalid(input, `invalid suffix: '${match[2] ?? ''}'`);
  return Math.floor(Number(match[1]) * unit);
}

/** CPUs → billionths of one. */
export function parseCpus(input: FlagValue): number {
  if (!/^(\d+(\.\d*)?|\.\d+)(\/\d+)?$/.test(input.value)) {
    throw invalid(input, `failed to parse ${input.value} as a rational number`);
  }
  const [top, bottom] = input.value.split('/');
  return Math.round((Number(top) / Number(bottom ?? 1)) * 1e9);
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's durations (`1h2m3.5s`) → nanoseconds. */
export function parseDuration(input: FlagValue): number {
  const { value } = input;
  if (value === '0') return 0;
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== value.replace(/^[+-]/, '')) {
    throw invalid(input, `time: invalid duration ${JSON.stringify(value)}`);
  }
  const total = parts.reduce((sum, part) => sum + Number(part[1]) * (DURATION_UNITS[part[2] ?? ''] ?? 0), 0);
  return Math.round(value.startsWith('-') ? -total : total);
}

/** `name=value` pairs; a name without a value gets none. */
export function parsePairs(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((item) => {
      const at = item.indexOf('=');
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)];
    }),
  );
}

/** Decimal units, four significant digits: `4.19MB`. */
export function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}

const STEPS: readonly (readonly [number, number, string])[] = [
  [120, 60, 'About a minute'],
  [3600, 60, 'minutes'],
  [7200, 3600, 'About an hour'],
  [48 * 3600, 3600, 'hours'],
  [14 * 86_400, 86_400, 'days'],
  [60 * 86_400, 7 * 86_400, 'weeks'],
  [2 * 365 * 86_400, 30 * 86_400, 'months'],
];

/** `3 minutes`, `About an hour`. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second';
  if (seconds < 2) return '1 second';
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  for (const [below, divisor, words] of STEPS) {
    if (seconds < below)
      return words.startsWith('About') ? words : `${Math.floor(seconds / divisor)} ${words}`;
  }
  return `${(seconds / (365 * 86_400)).toFixed(0)} years`;
}
