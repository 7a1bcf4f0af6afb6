import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLayers, type LayerTable } from './check-layers.ts';
import { findCycles } from './source/cycles.ts';

const TABLE: LayerTable = {
  rooms: {
    base: { purpose: '', rooms: [], builtins: ['path'] },
    api: { purpose: '', rooms: ['base'], builtins: [] },
    cli: { purpose: '', rooms: ['base', 'api'], builtins: ['child_process'] },
    image: { purpose: '', rooms: ['base', 'api'], builtins: [] },
  },
  packages: { cli: ['nice'] },
  publicFolders: ['api/client'],
  clientImporters: ['cli'],
};

const BASE = [
  { path: 'src/base/a.ts', text: 'export const a = 1;' },
  { path: 'src/api/b.ts', text: 'export const b = 1;' },
  { path: 'src/api/deep/c.ts', text: 'export const c = 1;' },
  { path: 'src/api/client/d.ts', text: 'export const d = 1;' },
];

function problems(path: string, text: string): string[] {
  return checkLayers([...BASE, { path, text }], TABLE).map((line) => line.replace(/^[^ ]+ /, ''));
}

test('what the table allows passes', () => {
  const text = `import { a } from '#base/a.ts'; import type { D } from '#api/client/d.ts';
    import { spawn } from 'node:child_process'; import nice from 'nice'; export const x = [a, spawn, nice];`;
  assert.deepEqual(problems('src/cli/x.ts', text), []);
});

const REFUSED: readonly (readonly [string, string, string, RegExp])[] = [
  ['a room that the table does not allow', 'src/base/x.ts', `import '#api/b.ts';`, /may not import room api/],
  ['a private file', 'src/cli/x.ts', `import '#api/deep/c.ts';`, /is private to room api/],
  [
    'the client from an engine room',
    'src/image/x.ts',
    `import '#api/client/d.ts';`,
    /may not import api\/client/,
  ],
  ['a relative path out of the room', 'src/cli/x.ts', `import '../api/b.ts';`, /cross by #/],
  ['a # inside of a room', 'src/api/x.ts', `import '#api/b.ts';`, /stays in its room/],
  ['a builtin that the table does not allow', 'src/api/x.ts', `import 'node:fs';`, /may not use node:fs/],
  ['a builtin by its bare name', 'src/api/x.ts', `import 'fs';`, /write node:fs/],
  ['a package', 'src/api/x.ts', `import 'nice';`, /may not use the package/],
  ['a dynamic import', 'src/base/x.ts', `await import('#api/b.ts');`, /may not import room api/],
  [
    'a re-export',
    'src/base/x.ts',
    `export { b } from '#api/b.ts'; export const c = 1;`,
    /may not import room api/,
  ],
  ['an import of types', 'src/base/x.ts', `import type { B } from '#api/b.ts';`, /may not import room api/],
  ['a file that is not there', 'src/base/x.ts', `import './gone.ts';`, /does not exist/],
  ['a room that is not there', 'src/shed/x.ts', 'export const s = 1;', /belongs to no room/],
  ['a barrel', 'src/api/x.ts', `export * from './b.ts';`, /barrel/],
  ['a circle', 'src/base/x.ts', `import './x.ts'; export const y = 1;`, /circle/],
];

for (const [what, path, text, expected] of REFUSED) {
  test(`refuses ${what}`, () => {
    const found = problems(path, text);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', expected);
  });
}

test('tests may use any builtin, but keep to the rooms', () => {
  assert.deepEqual(problems('src/base/x.test.ts', `import 'node:fs'; import '../../test/support/y.ts';`), []);
  assert.match(problems('src/base/x.test.ts', `import '#api/b.ts';`)[0] ?? '', /may not import room api/);
});

test('finds circles of several files', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', ['a']],
    ['d', []],
  ]);
  assert.deepEqual(findCycles(graph), [['a', 'b', 'c']]);
});
