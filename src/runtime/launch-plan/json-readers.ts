import { invalid } from './builder.ts';

/** Takes a value from outside; what it returns has the type. Errors: `invalidArgument` with the path. */
export type Reader<T> = (value: unknown, path: string) => T;

interface Member<T, Needed extends boolean> {
  readonly read: Reader<T>;
  readonly needed: Needed;
}

/** A reader for each member, needed or not as the type has it. */
export type Shape<T> = {
  readonly [K in keyof T]-?: object extends Pick<T, K>
    ? Member<Exclude<T[K], undefined>, false>
    : Member<T[K], true>;
};

export function needed<T>(read: Reader<T>): Member<T, true> {
  return { read, needed: true };
}

/** `null` is absent, as for whoever else reads these files. */
export function optional<T>(read: Reader<T>): Member<T, false> {
  return { read, needed: false };
}

const MAX_ENTRIES = 65_536;

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function wrong(value: unknown, path: string, wanted: string): never {
  throw invalid(path, `must be ${wanted}, not ${typeName(value)}`);
}

export const text: Reader<string> = (value, path) => {
  if (typeof value !== 'string') return wrong(value, path, 'a string');
  if (value.includes('\0')) throw invalid(path, 'a NUL character');
  return value;
};

export const flag: Reader<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : wrong(value, path, 'a boolean');

export function whole(low: number, high: number): Reader<number> {
  return (value, path) => {
    if (typeof value !== 'number') return wrong(value, path, 'a number');
    if (!Number.isInteger(value) || value < low || value > high) {
      throw invalid(path, `${value} is not a whole number from ${low} to ${high}`);
    }
    return value;
  };
}

/** Numbers of 64 bits lose their last digits in JSON; the largest ones are rounded up to the next power. */
export const unsigned64 = whole(0, 2 ** 64);
export const signed64 = whole(-(2 ** 63), 2 ** 63);
export const unsigned32 = whole(0, 2 ** 32 - 1);
export const unsigned16 = whole(0, 2 ** 16 - 1);
export const signed32 = whole(-(2 ** 31), 2 ** 31 - 1);

export function list<T>(read: Reader<T>, most: number = MAX_ENTRIES): Reader<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return wrong(value, path, 'a list');
    if (value.length > most) throw invalid(path, `more than ${most} entries`);
    return value.map((entry: unknown, i) => read(entry, `${path}[${i}]`));
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object whose names are the user's. */
export function map<T>(read: Reader<T>): Reader<Record<string, T>> {
  return (value, path) => {
    if (!isObject(value)) return wrong(value, path, 'an object');
    const entries = Object.entries(value);
    if (entries.length > MAX_ENTRIES) throw invalid(path, `more than ${MAX_ENTRIES} entries`);
    return Object.fromEntries(
      entries.map(([name, entry]) => [text(name, path), read(entry, `${path}[${JSON.stringify(name)}]`)]),
    );
  };
}

/** Members that nobody knows are skipped, as the specification wants it. */
function readMembers(members: Members, value: unknown, path: string): Record<string, unknown> {
  if (!isObject(value)) return wrong(value, path, 'an object');
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(members)) {
    const at = path === '' ? name : `${path}.${name}`;
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (given !== undefined && given !== null) result[name] = member.read(given, at);
    else if (member.needed) throw invalid(at, 'missing');
  }
  return result;
}

/** An object of a type; `refused` members are known, and more than we can do. */
export function record<T extends object>(shape: Shape<T>, refused: readonly string[] = []): Reader<T> {
  const members: Members = { ...shape };
  return (value, path) => {
    const given = isObject(value) ? value : {};
    for (const name of refused) {
      const at = path === '' ? name : `${path}.${name}`;
      if (given[name] !== undefined && given[name] !== null) throw invalid(at, 'is not supported');
    }
    return readMembers(members, value, path) as T;
  };
}

type Value<M> = M extends { readonly read: Reader<infer T> } ? T : never;
type Members = Readonly<Record<string, Member<unknown, boolean>>>;
type Names<S, Needed> = {
  [K in keyof S]: S[K] extends { readonly needed: Needed } ? K : never;
}[keyof S];
type Inferred<S extends Members> = { [K in Names<S, true>]: Value<S[K]> } & {
  [K in Names<S, false>]?: Value<S[K]>;
};

/** `record` for a type that has no name: it is what the readers say. */
export function inline<S extends Members>(members: S): Reader<Inferred<S>> {
  return (value, path) => readMembers(members, value, path) as Inferred<S>;
}

/** One of some words; `complaint` says what any other one is. */
export function oneOf<const Word extends string>(words: readonly Word[], complaint: string): Reader<Word> {
  return (value, path) => {
    const given = text(value, path);
    const found = words.find((word) => word === given);
    if (found === undefined) throw invalid(path, `${complaint} ${JSON.stringify(given)}`);
    return found;
  };
}
