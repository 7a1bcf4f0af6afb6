import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathCalls } from './tree-calls.ts';

const judged = (path: string, text: string): string[] =>
  pathCalls({ path, text }).map((line) => line.replace(/^[^ ]+ /, ''));
const END = ': trees are used by descriptor here';

test('calls by path are refused where trees of containers are used', () => {
  const text = `import { readSync, openSync } from 'node:fs';\nimport { join } from 'node:path';`;
  for (const path of [
    'src/storage/layer/apply-layer.ts',
    'src/storage/tar-tree.ts',
    'src/image/commit.ts',
    'src/container/export.ts',
  ])
    assert.deepEqual(judged(path, text), [`openSync goes by path${END}`]);
  const all = `import * as fs from 'node:fs';\nimport { rm } from 'node:fs/promises';`;
  assert.deepEqual(judged('src/container/commit.ts', all), [
    `the whole of node:fs goes by path${END}`,
    `node:fs/promises goes by path${END}`,
  ]);
  const hidden = `const fs = process.getBuiltinModule('node:fs');`;
  assert.deepEqual(judged('src/storage/layer/write-tar.ts', hidden), [`node:fs by another way${END}`]);
});

test('descriptors, types, tests and files of the engine are not', () => {
  const text = `import { readSync, writeSync, type Stats } from 'node:fs';`;
  assert.deepEqual(judged('src/storage/layer/copy-tree.ts', text), []);
  for (const path of ['src/storage/layer/x.test.ts', 'src/storage/layer/tombstones.ts', 'src/image/save.ts'])
    assert.deepEqual(judged(path, `import { rmSync } from 'node:fs';`), []);
});
