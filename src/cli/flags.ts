import type { CommandDefinition, FlagDefinition } from './command-table.ts';

/**
 * What the user typed cannot be understood: printed with a pointer to the command's help, exit code 125 or 1.
 */
export class UsageError extends Error {}

const LIST_TYPES = new Set([
  'list',
  'map',
  'network',
  'filter',
  'mount',
  'ulimit',
  'stringSlice',
  'stringArray',
  'gpu-request',
]);

/** Values of flags by long name; one value per occurrence. */
export class FlagValues {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #command: CommandDefinition;

  constructor(command: CommandDefinition, values: ReadonlyMap<string, readonly string[]>) {
    this.#command = command;
    this.#values = values;
  }

  #definition(long: string): FlagDefinition {
    const definition = this.#command.flags.find((flag) => flag.long === long);
    if (definition === undefined) throw new Error(`no flag --${long} in the table of ${this.#command.name}`);
    return definition;
  }

  has(long: string): boolean {
    return this.#values.has(long);
  }

  text(long: string): string {
    return this.#values.get(long)?.at(-1) ?? this.#definition(long).default ?? '';
  }

  list(long: string): readonly string[] {
    this.#definition(long);
    return this.#values.get(long) ?? [];
  }

  bool(long: string): boolean {
    return this.text(long) === 'true';
  }

  int(long: string): number {
    return Number(this.text(long) || '0');
  }
}

export interface ParsedCommand {
  readonly flags: FlagValues;
  readonly args: readonly string[];
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

function invalid(flag: FlagDefinition, value: string, why: string): UsageError {
  const name = flag.short === undefined ? `--${flag.long}` : `-${flag.short}, --${flag.long}`;
  return new UsageError(`invalid argument ${JSON.stringify(value)} for ${JSON.stringify(name)} flag: ${why}`);
}

/** The numbers that Go's strconv takes with base 0. */
function checkInteger(flag: FlagDefinition, value: string): string {
  const plain = value.replaceAll('_', '');
  const call = flag.type.startsWith('u') ? 'ParseUint' : 'ParseInt';
  if (!/^[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)$/.test(plain)) {
    throw invalid(flag, value, `strconv.${call}: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  const sign = plain.startsWith('-') ? -1 : 1;
  const digits = plain.replace(/^[+-]/, '');
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  return String(sign * Number(octal));
}

function checkValue(flag: FlagDefinition, value: string): string {
  if (flag.type === 'bool') {
    if (TRUE.has(value)) return 'true';
    if (FALSE.has(value)) return 'false';
    throw invalid(flag, value, `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  if (flag.type === 'int' || flag.type === 'int64' || flag.type === 'uint16')
    return checkInteger(flag, value);
  return value;
}

/** Parses the words after a command by the rules of Go's pflag library. */
export function parseFlags(command: CommandDefinition, words: readonly string[]): ParsedCommand {
  const values = new Map<string, string[]>();
  const args: string[] = [];
  const byLong = new Map(command.flags.map((flag) => [flag.long, flag]));
  const byShort = new Map(
    command.flags.flatMap((flag) => (flag.short === undefined ? [] : [[flag.short, flag] as const])),
  );
  const store = (flag: FlagDefinition, value: string): void => {
    const checked = checkValue(flag, value);
    const before = values.get(flag.long);
    if (before !== undefined && LIST_TYPES.has(flag.type)) before.push(checked);
    else values.set(flag.long, [checked]);
  };
  let i = 0;
  const next = (): string | undefined => words[++i];

  const longFlag = (word: string): void => {
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const flag = byLong.get(name);
    if (name === '' || name.startsWith('-')) throw new UsageError(`bad flag syntax: ${word}`);
    if (flag === undefined) throw new UsageError(`unknown flag: --${name}`);
    if (equals >= 0) return store(flag, word.slice(equals + 1));
    if (flag.type === 'bool') return store(flag, 'true');
    const value = next();
    if (value === undefined) throw new UsageError(`flag needs an argument: --${name}`);
    store(flag, value);
  };

  const shortFlags = (word: string): void => {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] ?? '';
      const flag = byShort.get(letter);
      if (flag === undefined)
        throw new UsageError(`unknown shorthand flag: '${letter}' in -${word.slice(at)}`);
      if (word[at + 1] === '=') return store(flag, word.slice(at + 2));
      if (flag.type === 'bool') {
        store(flag, 'true');
        continue;
      }
      const rest = word.slice(at + 1);
      const value = rest === '' ? next() : rest;
      if (value === undefined)
        throw new UsageError(`flag needs an argument: '${letter}' in -${word.slice(at)}`);
      return store(flag, value);
    }
  };

  for (; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word === '--') {
      args.push(...words.slice(i + 1));
      break;
    }
    if (word.startsWith('--')) longFlag(word);
    else if (word.startsWith('-') && word.length > 1) shortFlags(word);
    else if (command.interspersed) args.push(word);
    else {
      args.push(...words.slice(i));
      break;
    }
  }
  return { flags: new FlagValues(command, values), args };
}
