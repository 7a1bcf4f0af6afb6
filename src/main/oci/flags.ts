/** A command line that cannot be understood; printed with the command's usage. */
export class UsageError extends Error {}

export type FlagKind = 'switch' | 'text' | 'number' | 'list';

export interface Flag {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly kind: FlagKind;
  /** Stands for the value in the help; the program's environment does not change it. */
  readonly value?: string;
  readonly help: string;
}

export interface Parsed {
  readonly flags: FlagValues;
  readonly words: readonly string[];
}

/** What was given, by long name. */
export class FlagValues {
  readonly #given: ReadonlyMap<string, readonly string[]>;

  constructor(given: ReadonlyMap<string, readonly string[]>) {
    this.#given = given;
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  on(name: string): boolean {
    return this.#given.get(name)?.at(-1) === 'true';
  }

  text(name: string): string | undefined {
    return this.#given.get(name)?.at(-1);
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  list(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }
}

const SWITCH_WORDS: Readonly<Record<string, string>> = {
  '1': 'true',
  t: 'true',
  T: 'true',
  true: 'true',
  TRUE: 'true',
  True: 'true',
  '0': 'false',
  f: 'false',
  F: 'false',
  false: 'false',
  FALSE: 'false',
  False: 'false',
};

function checked(flag: Flag, given: string): string {
  const complaint = `invalid value ${JSON.stringify(given)} for flag -${flag.name}`;
  if (flag.kind === 'switch') {
    const value = SWITCH_WORDS[given];
    if (value === undefined) throw new UsageError(`${complaint}: parse error`);
    return value;
  }
  if (flag.kind === 'number' && !/^[+-]?\d{1,15}$/.test(given))
    throw new UsageError(`${complaint}: parse error`);
  return given;
}

/**
 * Options as callers of runc write them: `--name value`, `--name=value`, one dash as good as two, `--` ends
 * them. They may stand behind the words unless `wordsEnd` is set: then the first word ends them, too (the
 * rest is somebody else's command line).
 */
export function parseFlags(
  table: readonly Flag[],
  argv: readonly string[],
  { wordsEnd = false }: { readonly wordsEnd?: boolean } = {},
): Parsed {
  const given = new Map<string, string[]>();
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (word === '--') {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!/^--?[^-]/.test(word)) {
      words.push(...(wordsEnd ? argv.slice(index) : [word]));
      if (wordsEnd) break;
      continue;
    }
    const [, name = '', , inline] = /^--?([^=]+)(=([\s\S]*))?$/.exec(word) ?? [];
    const flag = table.find((candidate) => candidate.name === name || candidate.short === name);
    if (flag === undefined) throw new UsageError(`flag provided but not defined: -${name}`);
    let value = inline;
    if (value === undefined) {
      if (flag.kind === 'switch') value = 'true';
      else if (index + 1 < argv.length) value = argv[++index] ?? '';
      else throw new UsageError(`flag needs an argument: -${name}`);
    }
    given.set(flag.name, [...(given.get(flag.name) ?? []), checked(flag, value)]);
  }
  return { flags: new FlagValues(given), words };
}
