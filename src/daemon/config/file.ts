import { isIP } from 'node:net';
import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#base/json.ts';
import { positionOf, scanJson } from '#base/json-scan.ts';
import {
  IGNORED_KEYS,
  OPTION_BY_KEY,
  type Option,
  type OptionValue,
  type UlimitOption,
  type Values,
} from './options.ts';
import { goFormat, parseBytes } from './values.ts';

/** A mistake in the configuration file: the reference's words, then where it is and what to do. */
function mistake(
  message: string,
  where?: { readonly text: string; readonly offset: number; readonly advice: string },
): EngineError {
  if (where === undefined) return new EngineError('invalidArgument', message);
  const { line, column } = positionOf(where.text, where.offset);
  return new EngineError('invalidArgument', `${message}\n  line ${line}, column ${column}: ${where.advice}`);
}

function syntaxAdvice(text: string, offset: number): string {
  const char = text[offset];
  if (char === '#' || char === '/') return 'JSON has no comments: remove this one';
  if (char === undefined) return 'the text ends too early: a bracket or a quote is not closed';
  if ((char === '}' || char === ']') && /,\s*$/.test(text.slice(0, offset)))
    return 'remove the comma in front of the closing bracket';
  if (char === "'") return 'texts stand in double quotes';
  return 'this is not JSON: expected something like {"debug": true}';
}

/** Where a key of the top level, or of the object below it, stands. */
function offsetOf(text: string, key: string): number {
  const at = text.indexOf(JSON.stringify(key));
  return Math.max(at, 0);
}

const GO_TYPE: Readonly<Record<string, string>> = {
  bool: 'bool',
  int: 'int',
  list: '[]string',
  ips: '[]net.IP',
  map: 'map[string]string',
  flags: 'map[string]bool',
  pools: '[]*ipamutils.NetworkToSplit',
  runtimes: 'map[string]system.Runtime',
  ulimits: 'map[string]*container.Ulimit',
};

function jsonType(value: JsonValue): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : value === null ? 'null' : typeof value;
}

class WrongType extends Error {
  readonly field: string;

  constructor(value: JsonValue, field: string, wanted: string) {
    super(
      `invalid JSON: json: cannot unmarshal ${jsonType(value)} into Go struct field Config.${field} of type ${wanted}`,
    );
    this.field = field;
  }
}

function text(value: JsonValue, field: string): string {
  if (typeof value !== 'string') throw new WrongType(value, field, 'string');
  return value;
}

function texts(value: JsonValue, field: string): string[] {
  if (!Array.isArray(value)) throw new WrongType(value, field, '[]string');
  return value.map((one) => text(one, field));
}

function entries(value: JsonValue, option: Option): [string, JsonValue][] {
  if (!isJsonObject(value)) throw new WrongType(value, option.key, GO_TYPE[option.type] ?? 'object');
  return Object.entries(value);
}

function address(one: string): string {
  if (isIP(one) === 0) throw new EngineError('invalidArgument', `invalid JSON: invalid IP address: ${one}`);
  return one;
}

function pools(value: JsonValue, option: Option): { base: string; size: number }[] {
  if (!Array.isArray(value)) throw new WrongType(value, option.key, GO_TYPE['pools'] ?? '');
  return value.map((one) => {
    if (!isJsonObject(one)) throw new WrongType(one, option.key, 'ipamutils.NetworkToSplit');
    const base = text(one['base'] ?? '', `${option.key}.base`);
    const size = one['size'] ?? 0;
    if (typeof size !== 'number') throw new WrongType(size, `${option.key}.size`, 'int');
    if (!base.includes('/'))
      throw new EngineError(
        'invalidArgument',
        `invalid JSON: netip.ParsePrefix(${JSON.stringify(base)}): no '/'`,
      );
    return { base, size };
  });
}

function runtimes(value: JsonValue, option: Option): Record<string, { path: string; args: string[] }> {
  return Object.fromEntries(
    entries(value, option).map(([name, one]) => {
      if (!isJsonObject(one)) throw new WrongType(one, `${option.key}.${name}`, 'system.Runtime');
      const path = text(one['path'] ?? '', `${option.key}.${name}.path`);
      return [name, { path, args: texts(one['runtimeArgs'] ?? [], `${option.key}.${name}.runtimeArgs`) }];
    }),
  );
}

function ulimits(value: JsonValue, option: Option): Record<string, UlimitOption> {
  return Object.fromEntries(
    entries(value, option).map(([name, one]) => {
      if (!isJsonObject(one)) throw new WrongType(one, `${option.key}.${name}`, 'container.Ulimit');
      const limit = (side: 'Hard' | 'Soft'): number => {
        const number = one[side] ?? 0;
        if (typeof number !== 'number') throw new WrongType(number, `${option.key}.${name}.${side}`, 'int64');
        return number;
      };
      return [
        name,
        { Name: text(one['Name'] ?? name, `${option.key}.Name`), Hard: limit('Hard'), Soft: limit('Soft') },
      ];
    }),
  );
}

function convert(option: Option, value: JsonValue): OptionValue {
  switch (option.type) {
    case 'bool':
      if (typeof value !== 'boolean') throw new WrongType(value, option.key, 'bool');
      return value;
    case 'int':
      if (typeof value !== 'number') throw new WrongType(value, option.key, 'int');
      return value;
    case 'bytes': {
      const size = text(value, option.key);
      if (parseBytes(size) === null)
        throw new EngineError('invalidArgument', `invalid JSON: invalid size: '${size}'`);
      return size;
    }
    case 'ip':
      return address(text(value, option.key));
    case 'ips':
      return texts(value, option.key).map(address);
    case 'list':
      return texts(value, option.key);
    case 'map':
      return Object.fromEntries(
        entries(value, option).map(([key, one]) => [key, text(one, `${option.key}.${key}`)]),
      );
    case 'flags':
      return Object.fromEntries(
        entries(value, option).map(([key, one]) => {
          if (typeof one !== 'boolean') throw new WrongType(one, `${option.key}.${key}`, 'bool');
          return [key, one];
        }),
      );
    case 'pools':
      return pools(value, option);
    case 'ulimits':
      return ulimits(value, option);
    case 'runtimes':
      return runtimes(value, option);
    case 'any':
      return null;
    case 'string':
      return text(value, option.key);
  }
}

function checkConflicts(file: JsonObject, flags: Values): void {
  const both = Object.keys(file).filter((key) => flags.has(key));
  if (both.length === 0) return;
  const shown = both.map(
    (key) => `${key}: (from flag: ${goFormat(flags.get(key))}, from file: ${goFormat(file[key])})`,
  );
  const message = `the following directives are specified both as a flag and in the configuration file: ${shown.join(', ')}`;
  throw new EngineError('invalidArgument', message);
}

function checkKeys(file: JsonObject, source: string): void {
  const unknown = Object.keys(file).filter((key) => !OPTION_BY_KEY.has(key) && !IGNORED_KEYS.has(key));
  const [first] = unknown;
  if (first === undefined) return;
  const lower = first.toLowerCase();
  const advice = OPTION_BY_KEY.has(lower)
    ? `keys are lower case: write "${lower}"`
    : 'remove it, or look for a typing mistake';
  throw mistake(`the following directives don't match any configuration option: ${unknown.join(', ')}`, {
    text: source,
    offset: offsetOf(source, first),
    advice,
  });
}

function parse(source: string): JsonObject {
  if (source.trim() === '') return {};
  const scan = scanJson(source);
  const rest = scan.error === null && source.slice(scan.end).trim() !== '';
  if (scan.error !== null || rest) {
    const offset = rest ? scan.end + source.slice(scan.end).search(/\S/) : scan.end;
    const message = scan.error ?? `invalid character '${source[offset]}' after top-level value`;
    throw mistake(`invalid JSON: ${message}`, { text: source, offset, advice: syntaxAdvice(source, offset) });
  }
  const value = JSON.parse(source) as JsonValue;
  if (value === null) return {};
  if (isJsonObject(value)) return value;
  const found = jsonType(value);
  throw mistake(
    `invalid JSON: json: cannot unmarshal ${found} into Go value of type map[string]interface {}`,
    {
      text: source,
      offset: 0,
      advice: 'the file holds one object: {"debug": true}',
    },
  );
}

/** The options in a configuration file's text. Errors say what is wrong, where, and what to do. */
export function parseConfigFile(raw: string, flags: Values): Values {
  const source = raw.startsWith('\uFEFF') ? raw.slice(1) : raw;
  const file = parse(source);
  checkKeys(file, source);
  checkConflicts(file, flags);
  const values = new Map<string, OptionValue>();
  for (const [key, value] of Object.entries(file)) {
    const option = OPTION_BY_KEY.get(key);
    if (option === undefined || value === null) continue;
    try {
      values.set(key, convert(option, value));
    } catch (error) {
      const advice =
        error instanceof WrongType
          ? `give ${JSON.stringify(key)} a value of the right type`
          : 'correct this value';
      throw mistake(error instanceof Error ? error.message : String(error), {
        text: source,
        offset: offsetOf(source, key),
        advice,
      });
    }
  }
  return values;
}
