/**
 * Writes `src/api/generated-*.ts` from `test/reference/engine-api.json`: the names, types and defaults of the
 * Engine API. `node tools/gen-api.ts` writes, `--check` only says which files are not what they should be.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';

/**
 * One type: `ref` a definition, `all` several at once, `p` properties with `req` required ones, `map` values
 * of a map, `of` items.
 */
interface Shape {
  readonly ref?: string;
  readonly all?: readonly Shape[];
  readonly t?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'file';
  readonly p?: Readonly<Record<string, Shape>>;
  readonly req?: readonly string[];
  readonly map?: Shape;
  readonly of?: Shape;
  readonly enum?: readonly (string | number)[];
  readonly null?: 1;
  readonly def?: unknown;
}

interface QueryParameter {
  readonly n: string;
  readonly t: string;
  readonly of?: string;
  readonly def?: unknown;
  readonly req?: 1;
}

interface Operation {
  readonly m: string;
  readonly path: string;
  readonly tag: string;
  readonly q?: readonly QueryParameter[];
  readonly body?: Shape;
  readonly reply?: Shape;
}

interface ApiData {
  readonly version: string;
  readonly definitions: Readonly<Record<string, Shape>>;
  readonly operations: Readonly<Record<string, Operation>>;
}

/**
 * Tag to file, in the order in which a shared definition finds its home. Tags not named here are not served.
 */
const NOUNS: readonly (readonly [string, readonly string[]])[] = [
  ['exec', ['Exec']],
  ['network', ['Network']],
  ['volume', ['Volume']],
  ['image', ['Image', 'Distribution']],
  ['container', ['Container']],
  ['system', ['System']],
];
const HEADER = (version: string): string =>
  `/* Written by tools/gen-api.ts from the description of Engine API ${version}; not edited by hand. */\n`;
const LINE = 110;

function children(shape: Shape): readonly Shape[] {
  const own = [...(shape.all ?? []), ...Object.values(shape.p ?? {})];
  return [...own, ...(shape.map ? [shape.map] : []), ...(shape.of ? [shape.of] : [])];
}

function references(shape: Shape): string[] {
  return [...(shape.ref === undefined ? [] : [shape.ref]), ...children(shape).flatMap(references)];
}

/** Everything a shape needs, itself included, by name. */
function closure(data: ApiData, names: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    const shape = data.definitions[name];
    if (seen.has(name) || shape === undefined) return;
    seen.add(name);
    references(shape).forEach(visit);
  };
  names.forEach(visit);
  return seen;
}

const propertyName = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : `'${name}'`);

function scalar(shape: Shape): string {
  if (shape.enum !== undefined) {
    const values = shape.enum.map((value) => (typeof value === 'number' ? String(value) : `'${value}'`));
    return typeof shape.enum[0] === 'number' ? values.join(' | ') : `OneOf<${values.join(' | ')}>`;
  }
  if (shape.t === 'integer' || shape.t === 'number') return 'number';
  return shape.t === 'boolean' ? 'boolean' : shape.t === 'string' ? 'string' : 'unknown';
}

/** Go encodes an absent list or map as null, whatever the description says. */
const mayBeNull = (shape: Shape): boolean =>
  shape.null === 1 || shape.t === 'array' || shape.map !== undefined;

function typeOf(shape: Shape, indent: string): string {
  if (shape.ref !== undefined) return shape.ref;
  if (shape.all !== undefined) return shape.all.map((part) => typeOf(part, indent)).join(' & ');
  if (shape.t === 'array') return `readonly ${wrap(typeOf(shape.of ?? {}, indent))}[]`;
  if (shape.map !== undefined) {
    const value = typeOf(shape.map, indent) + (mayBeNull(shape.map) ? ' | null' : '');
    return `Readonly<Record<string, ${value}>>`;
  }
  if (shape.p !== undefined) return `{\n${properties(shape, `${indent}  `)}${indent}}`;
  return shape.t === 'object' ? 'Readonly<Record<string, unknown>>' : scalar(shape);
}

const wrap = (type: string): string => (/^readonly |^[^{<]*[|&]/.test(type) ? `(${type})` : type);

function properties(shape: Shape, indent: string): string {
  const required = new Set(shape.req ?? []);
  return Object.entries(shape.p ?? {})
    .map(([name, value]) => {
      const meaningful =
        value.def !== undefined && value.def !== false && value.def !== 0 && value.def !== '';
      const note =
        meaningful && typeof value.def !== 'object'
          ? `${indent}/** Default: ${JSON.stringify(value.def)}. */\n`
          : '';
      const type = typeOf(value, indent) + (mayBeNull(value) ? ' | null' : '');
      const line = `${indent}readonly ${propertyName(name)}${required.has(name) ? '' : '?'}: ${type};\n`;
      return note + (line.length > LINE && !line.includes('{') ? breakUnion(line, indent) : line);
    })
    .join('');
}

function breakUnion(line: string, indent: string): string {
  return line.replace(/OneOf<(.*)>/, (_all, values: string) => {
    return `OneOf<\n${values
      .split(' | ')
      .map((v) => `${indent}  | ${v}\n`)
      .join('')}${indent}>`;
  });
}

function definition(name: string, shape: Shape): string {
  if (shape.p !== undefined && shape.all === undefined)
    return `export interface ${name} {\n${properties(shape, '  ')}}\n`;
  return `export type ${name} = ${typeOf(shape, '')};\n`;
}

const QUERY_TYPES: Readonly<Record<string, string>> = {
  boolean: 'boolean',
  integer: 'number',
  string: 'string',
};

function queryType(id: string, operation: Operation): string {
  const lines = (operation.q ?? []).map((parameter) => {
    const type = parameter.t === 'array' ? 'readonly string[]' : (QUERY_TYPES[parameter.t] ?? 'string');
    const hasDefault = parameter.def !== undefined && parameter.def !== false && parameter.def !== '';
    const note = hasDefault ? `  /** Default: ${JSON.stringify(parameter.def)}. */\n` : '';
    return `${note}  readonly ${propertyName(parameter.n)}${parameter.req === 1 ? '' : '?'}: ${type};\n`;
  });
  return `/** \`${operation.m} ${operation.path}\` */\nexport interface ${id}Query {\n${lines.join('')}}\n`;
}

/** Query, and body and reply where they are no definition of their own. */
function operationTypes(id: string, operation: Operation): string[] {
  const inline = (suffix: string, shape: Shape | undefined): string[] =>
    shape === undefined || shape.ref !== undefined || shape.t === 'string'
      ? []
      : [definition(`${id}${suffix}`, shape)];
  return [
    ...(operation.q === undefined ? [] : [queryType(id, operation)]),
    ...inline('Body', operation.body),
    ...inline('Reply', operation.reply),
  ];
}

/** One file to be: the definitions in it, and the operations whose query, body and reply types are in it. */
interface ApiFile {
  readonly name: string;
  readonly definitions: readonly string[];
  readonly operations: readonly (readonly [string, Operation])[];
}

const shapesOf = ({ body, reply }: Operation): Shape[] =>
  [body, reply].filter((shape) => shape !== undefined);

function distribute(data: ApiData): ApiFile[] {
  const home = new Set<string>();
  return NOUNS.flatMap(([noun, tags]) => {
    const operations = Object.entries(data.operations).filter(([, operation]) =>
      tags.includes(operation.tag),
    );
    const roots = operations.flatMap(([, operation]) => shapesOf(operation).flatMap(references));
    const definitions = [...closure(data, roots)].filter((name) => !home.has(name)).toSorted();
    for (const name of definitions) home.add(name);
    return [
      { name: `generated-${noun}.ts`, definitions, operations: [] },
      { name: `generated-${noun}-operations.ts`, definitions: [], operations },
    ];
  });
}

function imports(data: ApiData, file: ApiFile, files: readonly ApiFile[]): string {
  const shapes = [
    ...file.definitions.map((name) => data.definitions[name] ?? {}),
    ...file.operations.flatMap(([, operation]) =>
      shapesOf(operation).filter((shape) => shape.ref === undefined),
    ),
  ];
  const used = new Set(shapes.flatMap(references));
  const lines = files
    .filter((other) => other !== file)
    .map((other) => [other.name, other.definitions.filter((name) => used.has(name))] as const)
    .filter(([, names]) => names.length > 0)
    .map(([name, names]) => {
      const line = `import type { ${names.join(', ')} } from './${name}';\n`;
      return line.length <= LINE
        ? line
        : `import type {\n${names.map((n) => `  ${n},\n`).join('')}} from './${name}';\n`;
    });
  return lines.join('');
}

export function generate(data: ApiData): Map<string, string> {
  const files = distribute(data);
  const written = new Map<string, string>();
  for (const file of files) {
    const types = file.definitions.map((name) => definition(name, data.definitions[name] ?? {}));
    const operations = file.operations.flatMap(([id, operation]) => operationTypes(id, operation));
    const text = [...types, ...operations].join('\n');
    const oneOf = text.includes('OneOf<') ? "import type { OneOf } from './one-of.ts';\n" : '';
    if (text !== '')
      written.set(file.name, `${HEADER(data.version)}${imports(data, file, files)}${oneOf}\n${text}`);
  }
  return written;
}

/** As the formatter leaves it, so that `--check` compares like with like. */
function formatted(name: string, text: string): string {
  const biome = join(ROOT, 'node_modules/.bin/biome');
  const result = spawnSync(biome, ['format', `--stdin-file-path=src/api/${name}`], {
    input: text,
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`biome: ${result.stderr}`);
  return result.stdout;
}

function main(): void {
  const data = JSON.parse(readFileSync(join(ROOT, 'test/reference/engine-api.json'), 'utf8')) as ApiData;
  const check = process.argv.includes('--check');
  for (const [name, raw] of generate(data)) {
    const text = formatted(name, raw);
    const path = join(ROOT, 'src/api', name);
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    if (check) {
      process.stderr.write(`src/api/${name} is not what tools/gen-api.ts writes\n`);
      process.exitCode = 1;
    } else writeFileSync(path, text);
  }
}

if (import.meta.main) main();
