/**
 * Code that reads or writes trees of containers and images works on descriptors only: a path can be made to
 * lead somewhere else while it is used. Which calls of node may be used there, and through which modules.
 */
import { dirname, join } from 'node:path';
import { parseSync } from 'oxc-parser';
import type { SourceFile } from './files.ts';
import { ENGINE_FILES, NAMED_TREES } from './tree-call-list.ts';

/** Files that touch such trees. */
const TREES = new RegExp(
  `^src/(${[
    'storage/(layer|overlay|vfs)/.+',
    'storage/(tar-tree|layer-archives)',
    'image/commit',
    'container/(commit|export|changes)',
  ].join('|')})\\.ts$`,
);
const ON_DESCRIPTORS = new Set([
  'closeSync',
  'fdatasyncSync',
  'fstatSync',
  'fsyncSync',
  'read',
  'readSync',
  'write',
  'writeSync',
  'writevSync',
]);

interface Taken {
  readonly module: string;
  /** What of it, without types; nothing: the whole. */
  readonly names: readonly string[];
  readonly start: number;
}

/** What a file takes from other modules while it runs: imports and re-exports that are not types only. */
function takenBy({ path, text }: SourceFile): Taken[] {
  const { module } = parseSync(path, text);
  const taken: Taken[] = [];
  for (const { moduleRequest, entries, start } of module.staticImports) {
    const values = entries.filter(({ isType }) => !isType);
    if (entries.length > 0 && values.length === 0) continue;
    taken.push({
      module: moduleRequest.value,
      names: values.map(({ importName }) => importName.name ?? '*'),
      start,
    });
  }
  for (const { entries, start } of module.staticExports)
    for (const { moduleRequest, importName, isType } of entries)
      if (moduleRequest !== null && !isType)
        taken.push({ module: moduleRequest.value, names: [importName.name ?? '*'], start });
  for (const { moduleRequest, start } of module.dynamicImports) {
    const name = /^['"`]([^$]*)['"`]$/.exec(text.slice(moduleRequest.start, moduleRequest.end))?.[1];
    if (name !== undefined) taken.push({ module: name, names: ['*'], start });
  }
  return taken;
}

function named(names: readonly string[]): readonly string[] {
  return names.length === 0 || names.includes('*') ? ['the whole'] : names;
}

/** The calls by path that a file takes from node itself, such as `rm of node:fs/promises`. */
function callsOf(taken: readonly Taken[]): readonly { readonly call: string; readonly start: number }[] {
  return taken.flatMap(({ module, names, start }) => {
    if (module !== 'node:fs' && module !== 'node:fs/promises') return [];
    const byPath = named(names).filter((name) => module !== 'node:fs' || !ON_DESCRIPTORS.has(name));
    return byPath.map((name) => ({ call: `${name} of ${module}`, start }));
  });
}

const HIDDEN = /getBuiltinModule\(\s*['"]node:fs|createRequire\(|require\(\s*['"]node:fs/;

/** Judges files of one state of the sources: a module counts as what it imports itself. */
export class TreeCalls {
  readonly #files: ReadonlyMap<string, SourceFile>;
  readonly #taken = new Map<string, readonly Taken[]>();

  constructor(files: readonly SourceFile[]) {
    this.#files = new Map(files.map((file) => [file.path, file]));
  }

  /** Calls by path in one file, as `path:line: what`. */
  in({ path, text }: SourceFile): string[] {
    if (!isJudged(path)) return [];
    const found: string[] = [];
    const report = (start: number, what: string): void => {
      const line = text.slice(0, start).split('\n').length;
      found.push(`${path}:${line}: ${what}: trees are used by descriptor here`);
    };
    const allowed = NAMED_TREES.get(path)?.calls ?? [];
    const taken = this.#takenBy(path);
    const calls = callsOf(taken);
    for (const { call, start } of calls) if (!allowed.includes(call)) report(start, `${call} goes by path`);
    for (const call of allowed)
      if (!calls.some((each) => each.call === call)) report(0, `${call} is on the list and is not used`);
    for (const { module, start } of taken) {
      const through = this.#wayToPaths(this.#resolved(module, path), new Set([path]));
      if (through !== null) report(start, `${through} goes by path`);
    }
    const hidden = HIDDEN.exec(text);
    if (hidden !== null) report(hidden.index, 'node:fs by another way');
    return found;
  }

  /** Lines of the list that no call by path is behind any more. */
  stale(): string[] {
    return [...NAMED_TREES.keys(), ...ENGINE_FILES.keys()]
      .filter((path) => this.#ownWay(path, new Set([path])) === null)
      .map((path) => `${path}: stands on tools/source/tree-call-list.ts and makes no call by path`);
  }

  #takenBy(path: string): readonly Taken[] {
    const known = this.#taken.get(path);
    if (known !== undefined) return known;
    const file = this.#files.get(path);
    const taken = file === undefined ? [] : takenBy(file);
    this.#taken.set(path, taken);
    return taken;
  }

  #resolved(module: string, from: string): string | null {
    if (module.startsWith('#')) return `src/${module.slice(1)}`;
    return module.startsWith('.') ? join(dirname(from), module) : null;
  }

  /** Through which modules a file gets at calls by path; those that are judged answer for themselves. */
  #wayToPaths(path: string | null, seen: Set<string>): string | null {
    if (path === null || seen.has(path) || isJudged(path) || ENGINE_FILES.has(path)) return null;
    seen.add(path);
    return this.#ownWay(path, seen);
  }

  #ownWay(path: string, seen: Set<string>): string | null {
    const taken = this.#takenBy(path);
    if (callsOf(taken).length > 0) return path;
    for (const { module } of taken) {
      const further = this.#wayToPaths(this.#resolved(module, path), seen);
      if (further !== null) return `${path} → ${further}`;
    }
    return null;
  }
}

function isJudged(path: string): boolean {
  return TREES.test(path) && !/\.(test|conformance)\.ts$/.test(path) && !ENGINE_FILES.has(path);
}
