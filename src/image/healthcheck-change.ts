import { EngineError } from '#base/errors.ts';
import type { Healthcheck } from '#oci/image-config.ts';
import { badInteger, integerRange, quote } from '#api/messages.ts';
import { goDuration } from './change-duration.ts';
import { parseFlags } from './change-flags.ts';
import type { Statement } from './change-statements.ts';
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
const OPTIONS = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'] as const;
const MINIMUM_NS = 1e6;

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

function interval(options: ReadonlyMap<string, string>, name: string): number {
  const text = options.get(name) ?? '';
  const value = text === '' ? 0 : goDuration(text);
  if (value !== 0 && value < MINIMUM_NS) throw invalid(`Interval "${name}" cannot be less than 1ms`);
  return value;
}

function retriesOf(text: string): number {
  if (text === '') return 0;
  const value = Number(text);
  if (!/^[-+]?\d+$/.test(text)) throw invalid(badInteger('ParseInt', text));
  if (value < -(2 ** 31) || value > 2 ** 31 - 1) throw invalid(integerRange('ParseInt', text));
  if (value < 0) throw invalid(`--retries cannot be negative (${value})`);
  return value;
}

/** `NONE` takes options without looking at them. Errors: `invalidArgument`. */
export function healthcheckChange({ text, flags }: Pick<Statement, 'text' | 'flags'>): Healthcheck {
  const match = /^(\S+)\s*([^]*)$/.exec(text);
  if (match?.[1] === undefined) throw invalid('HEALTHCHECK requires at least one argument');
  const type = match[1].toUpperCase();
  const line = match[2] ?? '';
  const list = jsonForm(line);
  const isEmpty = line === '' || list?.length === 0;
  if (type === 'NONE') {
    if (!isEmpty) throw invalid('HEALTHCHECK NONE takes no arguments');
    return NONE;
  }
  const options = parseFlags(flags, OPTIONS);
  if (type !== 'CMD') throw invalid(`Unknown type ${quote(type)} in HEALTHCHECK (try CMD)`);
  if (isEmpty) throw invalid('Missing command after HEALTHCHECK CMD');
  return {
    test: list === null ? ['CMD-SHELL', line] : ['CMD', ...list],
    intervalNs: interval(options, 'interval'),
    timeoutNs: interval(options, 'timeout'),
    startPeriodNs: interval(options, 'start-period'),
    startIntervalNs: interval(options, 'start-interval'),
    retries: retriesOf(options.get('retries') ?? ''),
  };
}
