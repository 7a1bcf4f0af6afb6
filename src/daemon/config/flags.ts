import { EngineError } from '#base/errors.ts';
import { isIP } from 'node:net';
import {
  ACTIONS,
  OPTION_BY_FLAG,
  type Option,
  type OptionValue,
  type UlimitOption,
  type Values,
} from './options.ts';
import { parseBytes } from './values.ts';

export interface ParsedFlags {
  readonly action: 'run' | 'help' | 'validate' | 'version';
  /** What was given on the command line, by key; flags without a key by their name with `--` in front. */
  readonly values: Values;
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

const usage = (message: string): EngineError => new EngineError('invalidArgument', message);

function bad(flag: string, text: string, why: string): EngineError {
  return usage(`invalid argument ${JSON.stringify(text)} for "${flag}" flag: ${why}`);
}

function asBoolean(name: string, text: string): boolean {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw bad(name, text, `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function pair(name: string, text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw bad(name, text, 'must be formatted as key=value');
  return [text.slice(0, at), text.slice(at + 1)];
}

function pool(name: string, text: string): { base: string; size: number } {
  const fields = new Map(text.split(',').map((part) => pair(name, part)));
  const base = fields.get('base');
  const size = Number(fields.get('size'));
  if (base === undefined || !Number.isInteger(size))
    throw bad(name, text, 'must be formatted as base=NETWORK,size=NUMBER');
  return { base, size };
}

/** `nofile=1024:2048`, or one number for both. */
function ulimit(name: string, text: string): UlimitOption {
  const [key, limits] = pair(name, text);
  const match = /^(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(limits);
  if (match === null) throw bad(name, text, `invalid ulimit argument: ${text}`);
  const Soft = Number(match[1]);
  const Hard = Number(match[2] ?? match[1]);
  if (Hard !== -1 && (Soft === -1 || Soft > Hard))
    throw bad(name, text, `ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`);
  return { Name: key, Hard, Soft };
}

interface GivenFlag {
  readonly name: string;
  readonly text: string;
  readonly before: OptionValue | undefined;
}

/** One occurrence of a flag, added to what came before. */
function collect(option: Option, given: GivenFlag): OptionValue {
  const { name, text, before } = given;
  switch (option.type) {
    case 'bool':
      return asBoolean(name, text);
    case 'int':
      if (!/^[+-]?\d{1,15}$/.test(text))
        throw bad(name, text, `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
      return Number(text);
    case 'bytes':
      if (parseBytes(text) === null) throw bad(name, text, `invalid size: '${text}'`);
      return text;
    case 'ip':
      if (isIP(text) === 0) throw bad(name, text, `failed to parse IP: ${JSON.stringify(text)}`);
      return text;
    case 'ips':
      for (const one of text.split(','))
        if (isIP(one) === 0) throw bad(name, text, `invalid string being converted to IP address: ${one}`);
      return [...((before as string[] | undefined) ?? []), ...text.split(',')];
    case 'list':
      return [...((before as string[] | undefined) ?? []), text];
    case 'map':
      return { ...(before as Record<string, string> | undefined), ...Object.fromEntries([pair(name, text)]) };
    case 'flags': {
      const [key, value = 'true'] = text.split('=', 2);
      return { ...(before as Record<string, boolean> | undefined), [key ?? '']: asBoolean(name, value) };
    }
    case 'pools':
      return [...((before as { base: string; size: number }[] | undefined) ?? []), pool(name, text)];
    case 'ulimits': {
      const limit = ulimit(name, text);
      return { ...(before as Record<string, UlimitOption> | undefined), [limit.Name]: limit };
    }
    case 'runtimes': {
      const [key, path] = pair(name, text);
      return {
        ...(before as Record<string, { path: string; args: string[] }> | undefined),
        [key]: { path, args: [] },
      };
    }
    case 'string':
    case 'any':
      return text;
  }
}

interface FlagText {
  readonly name: string;
  readonly shown: string;
  readonly value: string | undefined;
}

function split(argument: string): FlagText {
  if (argument.startsWith('--')) {
    const at = argument.indexOf('=');
    const name = at < 0 ? argument.slice(2) : argument.slice(2, at);
    return { name, shown: `--${name}`, value: at < 0 ? undefined : argument.slice(at + 1) };
  }
  const name = argument.slice(1, 2);
  const rest = argument.slice(2).replace(/^=/, '');
  return { name, shown: `-${name}`, value: rest === '' ? undefined : rest };
}

/** Long and short flags by the usual rules: `--x=v`, `--x v`, `-x v`, `-xv`, switches without a value. */
export function parseFlags(argv: readonly string[]): ParsedFlags {
  const values = new Map<string, OptionValue>();
  let action: ParsedFlags['action'] = 'run';
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? '';
    if (!argument.startsWith('-') || argument === '-')
      throw usage(`"gantryd" accepts no arguments: ${argument}`);
    const { name, shown, value } = split(argument);
    const known = ACTIONS.get(name);
    if (known !== undefined) {
      if (value === undefined || asBoolean(shown, value)) action = known as ParsedFlags['action'];
      continue;
    }
    const option = OPTION_BY_FLAG.get(name);
    const long = argument.startsWith('--');
    if (option === undefined || long !== (option.flag === name)) {
      throw usage(long ? `unknown flag: ${shown}` : `unknown shorthand flag: '${name}' in ${argument}`);
    }
    let text = value;
    if (text === undefined && option.type === 'bool') text = 'true';
    if (text === undefined) text = argv[++i];
    if (text === undefined) throw usage(`flag needs an argument: ${shown}`);
    const key = option.key === '' ? `--${option.flag}` : option.key;
    values.set(key, collect(option, { name: shown, text, before: values.get(key) }));
  }
  return { action, values };
}
