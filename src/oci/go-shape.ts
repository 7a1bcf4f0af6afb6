import { isJsonObject, type JsonObject, type JsonValue } from '#base/json.ts';

/*
 * The types that the reference reads documents into, as far as a wrong one is told to users, and the words of
 * its parser about the first value that does not fit.
 */

export interface Shape {
  /** The type's name in these words. */
  readonly type: string;
  /** `words`: a list of strings, or one string in its place. */
  readonly json: 'string' | 'integer' | 'bool' | 'object' | 'array' | 'words';
  readonly members?: Readonly<Record<string, Shape>>;
  /** Of a list or of a map. */
  readonly each?: Shape;
}

export interface RootShape extends Shape {
  /** What paths begin with. */
  readonly name: string;
}

export const text: Shape = { type: 'string', json: 'string' };
export const integer: Shape = { type: 'int', json: 'integer' };
export const long: Shape = { type: 'int64', json: 'integer' };
export const truth: Shape = { type: 'bool', json: 'bool' };
export const words: Shape = { type: 'string', json: 'words' };

export function named(type: string, shape: Shape): Shape {
  return { ...shape, type };
}

export function list(each: Shape): Shape {
  return { type: `[]${each.type}`, json: 'array', each };
}

export function map(each: Shape): Shape {
  return { type: `map[string]${each.type}`, json: 'object', each };
}

export function object(type: string, members: Readonly<Record<string, Shape>>): Shape {
  return { type, json: 'object', members };
}

/** What a value is called where it is not wanted. */
function kindOf(value: JsonValue): string {
  if (Array.isArray(value)) return 'array';
  if (isJsonObject(value)) return 'object';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** How the value is called if the type does not take it; null: it does. */
function misfit(value: JsonValue, { json }: Shape): string | null {
  const kind = kindOf(value);
  if (json === 'integer') {
    if (typeof value !== 'number') return kind;
    return Number.isInteger(value) ? null : `number ${value}`;
  }
  return kind === json ? null : kind;
}

type Path = readonly (string | number)[];

function told(kind: string, type: string, { root, path }: { root: RootShape; path: Path }): string {
  const where = `${root.name}.${path.join('.')}`;
  const into =
    path.length === 0 ? 'Go value' : typeof path.at(-1) === 'number' ? where : `Go struct field ${where}`;
  return `json: cannot unmarshal ${kind} into ${into} of type ${type}`;
}

function wordsProblem(value: JsonValue): string | null {
  if (typeof value === 'string') return null;
  if (Array.isArray(value) && value.every((item) => item === null || typeof item === 'string')) return null;
  return `json: cannot unmarshal ${kindOf(value)} into Go value of type string`;
}

interface Place {
  readonly root: RootShape;
  /** Grows and shrinks on the way: a copy for each value would cost more than the rest. */
  readonly path: (string | number)[];
}

function problemIn(value: JsonValue, { each, members }: Shape, at: Place): string | null {
  const isList = Array.isArray(value);
  if (!isList && !isJsonObject(value)) return null;
  for (const key of Object.keys(value)) {
    const shape = each ?? (members !== undefined && Object.hasOwn(members, key) ? members[key] : undefined);
    const part = (value as JsonObject)[key];
    if (shape === undefined || part === undefined) continue;
    at.path.push(isList ? Number(key) : key);
    const problem = problemAt(part, shape, at);
    if (problem !== null) return problem;
    at.path.pop();
  }
  return null;
}

function problemAt(value: JsonValue, shape: Shape, at: Place): string | null {
  if (value === null) return null;
  if (shape.json === 'words') return wordsProblem(value);
  const kind = misfit(value, shape);
  return kind === null ? problemIn(value, shape, at) : told(kind, shape.type, at);
}

/** The first value that has not the type it should have; null: all have. Nothing at all fits everywhere. */
export function shapeProblem(value: JsonValue, root: RootShape): string | null {
  return problemAt(value, root, { root, path: [] });
}
