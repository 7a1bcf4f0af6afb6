import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKernel } from '#host/real.ts';
import type { Files } from '#host/kernel.ts';
import { treeUsage } from './tree-usage.ts';

const { files } = createKernel();

test('a tree is counted down to a bound, and no descriptor stays open', (t) => {
  const path = mkdtempSync(join(tmpdir(), 'usage-'));
  t.after(() => files.removeTree(files.openRoot(tmpdir()), path.slice(tmpdir().length)));
  const before = process.cwd();
  process.chdir(path);
  for (let level = 0; level < 2100; level++) {
    mkdirSync('d');
    process.chdir('d');
  }
  writeFileSync('deep', 'xxxx');
  process.chdir(before);
  writeFileSync(join(path, 'd', 'd', 'near'), 'xxx');
  const root = files.openRoot(path);
  const open = readdirSync('/proc/self/fd').length;
  assert.deepEqual(treeUsage(files, root), { sizeBytes: 3, inodes: 2049 });
  assert.equal(readdirSync('/proc/self/fd').length, open);
  files.close(root);
});

test('what goes while it is counted is no error', (t) => {
  const path = mkdtempSync(join(tmpdir(), 'usage-'));
  t.after(() => rmSync(path, { recursive: true }));
  for (const name of ['a', 'b', 'c']) writeFileSync(join(path, name), 'x');
  mkdirSync(join(path, 'directory'));
  const hasty: Files = {
    ...files,
    readDirectory: (directory) => {
      const entries = files.readDirectory(directory);
      rmSync(join(path, 'b'), { force: true });
      return entries;
    },
  };
  const root = files.openRoot(path);
  assert.deepEqual(treeUsage(hasty, root), { sizeBytes: 2, inodes: 3 });
  files.close(root);
});

test('a symbolic link counts with its length, an inode once, a directory with nothing', (t) => {
  const path = mkdtempSync(join(tmpdir(), 'usage-'));
  t.after(() => rmSync(path, { recursive: true }));
  mkdirSync(join(path, 'd'));
  writeFileSync(join(path, 'file'), '12345');
  symlinkSync('abcdefghijkl', join(path, 'symbolic'));
  symlinkSync('é', join(path, 'd', 'symbolic'));
  linkSync(join(path, 'file'), join(path, 'd', 'hard'));
  linkSync(join(path, 'symbolic'), join(path, 'd', 'hard symbolic'));
  const root = files.openRoot(path);
  assert.deepEqual(treeUsage(files, root), { sizeBytes: 5 + 12 + 2, inodes: 4 });
  files.close(root);
});
