import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSources, type SourceFile } from './files.ts';
import { TreeCalls } from './tree-calls.ts';

const END = ': trees are used by descriptor here';

/** What is found in the first of some files. */
function judged(path: string, text: string, ...others: readonly SourceFile[]): string[] {
  const file = { path, text };
  return new TreeCalls([file, ...others]).in(file).map((line) => line.replace(/^[^ ]+ /, ''));
}

test('calls by path are refused where trees of containers are used', () => {
  const text = `import { readSync, openSync } from 'node:fs';\nimport { join } from 'node:path';`;
  for (const path of [
    'src/storage/layer/apply-layer.ts',
    'src/storage/tar-tree.ts',
    'src/storage/overlay/overlay-layout.ts',
    'src/storage/vfs/another.ts',
    'src/image/commit.ts',
    'src/container/export.ts',
  ])
    assert.deepEqual(judged(path, text), [`openSync of node:fs goes by path${END}`]);
  const all = `import * as fs from 'node:fs';\nimport { rm } from 'node:fs/promises';`;
  assert.deepEqual(judged('src/container/commit.ts', all), [
    `the whole of node:fs goes by path${END}`,
    `rm of node:fs/promises goes by path${END}`,
  ]);
});

test('other ways to them are refused, too', () => {
  const path = 'src/storage/layer/write-tar.ts';
  for (const hidden of [
    `const fs = process.getBuiltinModule('node:fs');`,
    `import { createRequire } from 'node:module';\nconst fs = createRequire(import.meta.url)('node:fs');`,
  ])
    assert.deepEqual(judged(path, hidden), [`node:fs by another way${END}`]);
  for (const text of [`await import('node:fs');`, `export * from 'node:fs';`])
    assert.deepEqual(judged(path, text), [`the whole of node:fs goes by path${END}`]);
});

test('so is a module that has them, however far away', () => {
  const path = 'src/storage/layer/write-tar.ts';
  const near = { path: 'src/base/near.ts', text: `import { rmSync } from 'node:fs';` };
  const far = { path: 'src/base/far.ts', text: `export { near } from './near.ts';` };
  assert.deepEqual(judged(path, `import { near } from '#base/near.ts';`, near), [
    `src/base/near.ts goes by path${END}`,
  ]);
  assert.deepEqual(judged(path, `import { near } from '#base/far.ts';`, near, far), [
    `src/base/far.ts → src/base/near.ts goes by path${END}`,
  ]);
  assert.deepEqual(judged(path, `import type { Near } from '#base/near.ts';`, near), []);
  const descriptors = { ...near, text: `import { readSync } from 'node:fs';` };
  assert.deepEqual(judged(path, `import { near } from '#base/near.ts';`, descriptors), []);
  // It is judged itself.
  const tree = { ...near, path: 'src/storage/layer/near.ts' };
  assert.deepEqual(judged(path, `import { near } from './near.ts';`, tree), []);
});

test('descriptors, types, tests and files of the engine are not', () => {
  const text = `import { readSync, writeSync, type Stats } from 'node:fs';`;
  assert.deepEqual(judged('src/storage/layer/copy-tree.ts', text), []);
  for (const path of ['src/storage/layer/x.test.ts', 'src/storage/layer/tombstones.ts', 'src/image/save.ts'])
    assert.deepEqual(judged(path, `import { rmSync } from 'node:fs';`), []);
});

test('the list allows exactly what it names, and has nothing that is not used', () => {
  const path = 'src/storage/layer-archives.ts';
  assert.deepEqual(judged(path, `import { open } from 'node:fs/promises';`), []);
  assert.deepEqual(judged(path, `import { open, rm } from 'node:fs/promises';`), [
    `rm of node:fs/promises goes by path${END}`,
  ]);
  assert.deepEqual(judged(path, ''), [`open of node:fs/promises is on the list and is not used${END}`]);
  const sources = readSources().filter((file) => /^src\/.*\.ts$/.test(file.path));
  assert.deepEqual(new TreeCalls(sources).stale(), []);
  assert.equal(new TreeCalls([]).stale().length, 7);
});
