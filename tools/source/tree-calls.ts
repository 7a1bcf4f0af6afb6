/**
 * Code that reads or writes trees of containers and images works on descriptors only: a path can be made to
 * lead somewhere else while it is used. Which calls of node may be used there.
 */
import { parseSync } from 'oxc-parser';
import type { SourceFile } from './files.ts';

/** Files that touch such trees. */
const TREES =
  /^src\/(storage\/layer\/.+|storage\/tar-tree|image\/commit|container\/(commit|export|changes))\.ts$/;
/** Beside them in the folder, these work on files that only the engine writes. */
const OWN_FILES = new Set(['decompress.ts', 'layer-records.ts', 'tombstones.ts']);
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

function isJudged(path: string): boolean {
  if (/\.(test|conformance)\.ts$/.test(path) || !TREES.test(path)) return false;
  return !OWN_FILES.has(path.slice(path.lastIndexOf('/') + 1));
}

/** Calls by path in one file, as `path:line: what`. */
export function pathCalls({ path, text }: SourceFile): string[] {
  if (!isJudged(path)) return [];
  const found: string[] = [];
  const report = (start: number, what: string): void => {
    found.push(
      `${path}:${text.slice(0, start).split('\n').length}: ${what}: trees are used by descriptor here`,
    );
  };
  for (const item of parseSync(path, text).module.staticImports) {
    const module = item.moduleRequest.value;
    if (module === 'node:fs/promises') report(item.start, 'node:fs/promises goes by path');
    if (module !== 'node:fs') continue;
    for (const { importName, isType } of item.entries) {
      const name = importName.name ?? 'the whole of node:fs';
      if (!isType && !ON_DESCRIPTORS.has(name)) report(item.start, `${name} goes by path`);
    }
  }
  const hidden = /getBuiltinModule\(\s*['"]node:fs|import\(\s*['"]node:fs|require\(\s*['"]node:fs/.exec(text);
  if (hidden !== null) report(hidden.index, 'node:fs by another way');
  return found;
}
