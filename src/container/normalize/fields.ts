import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#base/json.ts';

/*
 * Reading a request body field by field. A wrong type is refused with the text that the reference's
 * decoder gives; unknown
 * fields are ignored, null is the same as absent.
 */

function jsonName(value: JsonValue): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

export function wrongType(value: JsonValue, path: string, expected: string): EngineError {
  return new EngineError(
    'invalidArgument',
    `invalid JSON: json: cannot unmarshal ${jsonName(value)} into Go struct field ${path} of type ${expected}`,
  );
}

/** One object of the body, with where it stands for error texts (`.HostConfig`). */
export class Fields {
  readonly #object: JsonObject;
  readonly #path: string;

  constructor(object: JsonObject, path = '') {
    this.#object = object;
    this.#path = path;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key) && this.#object[key] !== null;
  }

  hasAny(keys: readonly string[]): boolean {
    return keys.some((key) => Object.hasOwn(this.#object, key));
  }

  raw(key: string): JsonValue | undefined {
    const value = Object.hasOwn(this.#object, key) ? this.#object[key] : undefined;
    return value === null ? undefined : value;
  }

  text(key: string): string {
    const value = this.raw(key);
    if (value === undefined) return '';
    if (typeof value !== 'string') throw wrongType(value, `${this.#path}.${key}`, 'string');
    return value;
  }

  flag(key: string): boolean {
    const value = this.raw(key);
    if (value === undefined) return false;
    if (typeof value !== 'boolean') throw wrongType(value, `${this.#path}.${key}`, 'bool');
    return value;
  }

  optionalFlag(key: string): boolean | null {
    return this.has(key) ? this.flag(key) : null;
  }

  integer(key: string): number {
    const value = this.raw(key);
    if (value === undefined) return 0;
    if (typeof value !== 'number') throw wrongType(value, `${this.#path}.${key}`, 'int64');
    if (!Number.isInteger(value)) {
      throw new EngineError(
        'invalidArgument',
        `invalid JSON: json: cannot unmarshal number ${value} into Go struct field ${this.#path}.${key} of type int64`,
      );
    }
    return value;
  }

  optionalInteger(key: string): number | null {
    return this.has(key) ? this.integer(key) : null;
  }

  texts(key: string): readonly string[] | null {
    const value = this.raw(key);
    if (value === undefined) return null;
    if (!Array.isArray(value)) throw wrongType(value, `${this.#path}.${key}`, '[]string');
    return value.map((item) => {
      if (typeof item !== 'string') throw wrongType(item, `${this.#path}.${key}`, 'string');
      return item;
    });
  }

  /** A command: a list, or one string that clients of old send instead. */
  words(key: string): readonly string[] | null {
    const value = this.raw(key);
    return typeof value === 'string' ? [value] : this.texts(key);
  }

  object(key: string): Fields | null {
    const value = this.raw(key);
    if (value === undefined) return null;
    if (!isJsonObject(value)) throw wrongType(value, `${this.#path}.${key}`, key);
    return new Fields(value, `${this.#path}.${key}`);
  }

  objects(key: string): readonly Fields[] | null {
    const value = this.raw(key);
    if (value === undefined) return null;
    if (!Array.isArray(value)) throw wrongType(value, `${this.#path}.${key}`, `[]${key}`);
    return value.map((item) => {
      if (!isJsonObject(item)) throw wrongType(item, `${this.#path}.${key}`, key);
      return new Fields(item, `${this.#path}.${key}`);
    });
  }

  /** A map of texts, as an object without a prototype: keys such as `__proto__` are ordinary here. */
  textMap(key: string): Readonly<Record<string, string>> | null {
    const value = this.raw(key);
    if (value === undefined) return null;
    if (!isJsonObject(value)) throw wrongType(value, `${this.#path}.${key}`, 'map[string]string');
    return mapFrom(
      Object.entries(value).map(([name, item]) => {
        if (item !== null && typeof item !== 'string')
          throw wrongType(item, `${this.#path}.${key}`, 'string');
        return [name, item ?? ''];
      }),
    );
  }

  /** The keys of a set such as `{"80/tcp": {}}`. */
  keys(key: string): readonly string[] | null {
    const value = this.raw(key);
    if (value === undefined) return null;
    if (!isJsonObject(value)) throw wrongType(value, `${this.#path}.${key}`, 'map[string]struct {}');
    return Object.keys(value);
  }

  entries(): readonly (readonly [string, JsonValue])[] {
    return Object.entries(this.#object);
  }
}

/** Keys sorted, as the reference's encoder writes maps. */
export function mapFrom<T>(entries: readonly (readonly [string, T])[]): Readonly<Record<string, T>> {
  const map = Object.create(null) as Record<string, T>;
  for (const [key, value] of [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) map[key] = value;
  return map;
}

export function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}
