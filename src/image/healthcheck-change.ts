import { EngineError } from '#base/errors.ts';
import type { Healthcheck } from '#oci/image-config.ts';
import { jsonForm } from './change-words.ts';

/*
 * The HEALTHCHECK instruction: options, then NONE or CMD. Texts are the reference's.
 */

const NONE: Healthcheck = {
  test: ['NONE'],
  intervalNs: 0,
  timeoutNs: 0,
  startPeriodNs: 0,
  startIntervalNs: 0,
  retries: 0,
};
const OPTIONS: ReadonlySet<string> = new Set([
  'interval',
  'timeout',
  'start-period',
  'start-interval',
  'retries',
]);
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
const MINIMUM_NS = 1e6;

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

/** Go's durations: `1h30m`, `1.5s`, `-2ms`, `0`. Errors: `invalidArgument`. */
function nanoseconds(text: string): number {
  const match = /^([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (match === null) {
    const lacksUnit = /^[-+]?(?:\d+\.?\d*|\.\d+)$/.test(text);
    throw invalid(`time: ${lacksUnit ? 'missing unit in' : 'invalid'} duration ${JSON.stringify(text)}`);
  }
  let sum = 0;
  for (const [, count, unit = ''] of (match[2] ?? '').matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g))
    sum += Number(count) * (UNITS[unit] ?? 0);
  return Math.round(match[1] === '-' ? -sum : sum);
}

function interval(options: ReadonlyMap<string, string>, name: string): number {
  const text = options.get(name) ?? '';
  const value = text === '' ? 0 : nanoseconds(text);
  if (value !== 0 && value < MINIMUM_NS) throw invalid(`Interval "${name}" cannot be less than 1ms`);
  return value;
}

function retriesOf(text: string): number {
  if (text === '') return 0;
  if (!/^[-+]?\d+$/.test(text) || Math.abs(Number(text)) > 2 ** 31 - 1)
    throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) < 0) throw invalid(`--retries cannot be negative (${Number(text)})`);
  return Number(text);
}

/** `--name=value` at the beginning, and what follows. */
function splitOptions(text: string): { options: ReadonlyMap<string, string>; rest: string } {
  const options = new Map<string, string>();
  let rest = text.trim();
  for (;;) {
    const match = /^--([^\s=]*)(?:=(\S*))?(?:\s+|$)/.exec(rest);
    if (match?.[1] === undefined) return { options, rest };
    if (match[1] === '' && match[2] === undefined) return { options, rest: rest.slice(match[0].length) };
    const [, name, value] = match;
    if (!OPTIONS.has(name)) throw invalid(`unknown flag: --${name}`);
    if (value === undefined) throw invalid(`missing a value on flag: --${name}`);
    if (options.has(name)) throw invalid(`duplicate flag specified: --${name}`);
    options.set(name, value);
    rest = rest.slice(match[0].length);
  }
}

/** Errors: `invalidArgument`. */
export function healthcheckChange(text: string): Healthcheck {
  const { options, rest } = splitOptions(text);
  const match = /^(\S+)\s*([^]*)$/.exec(rest);
  if (match?.[1] === undefined) throw invalid('HEALTHCHECK requires at least one argument');
  const type = match[1].toUpperCase();
  const line = (match[2] ?? '').trim();
  if (type === 'NONE') {
    if (line !== '') throw invalid('HEALTHCHECK NONE takes no arguments');
    return NONE;
  }
  if (type !== 'CMD') throw invalid(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  const list = jsonForm(line);
  if (line === '' || list?.length === 0) throw invalid('Missing command after HEALTHCHECK CMD');
  return {
    test: list === null ? ['CMD-SHELL', line] : ['CMD', ...list],
    intervalNs: interval(options, 'interval'),
    timeoutNs: interval(options, 'timeout'),
    startPeriodNs: interval(options, 'start-period'),
    startIntervalNs: interval(options, 'start-interval'),
    retries: retriesOf(options.get('retries') ?? ''),
  };
}
