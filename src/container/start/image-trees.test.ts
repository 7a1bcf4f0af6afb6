import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { RootTreePort } from '../ports.ts';
import { ImageTrees } from './image-trees.ts';

function counted(content: string): { tree: RootTreePort; asked: string[] } {
  const asked: string[] = [];
  const tree = {
    readFile: async (_fd: number, path: string) => {
      asked.push(path);
      return path === '/none' ? null : Buffer.from(content);
    },
    kindOf: async (_fd: number, path: string) => {
      asked.push(path);
      return path === '/work' ? 'directory' : 'missing';
    },
  } as unknown as RootTreePort;
  return { tree, asked };
}

test('an image is asked once, also for what it has not', async () => {
  const trees = new ImageTrees();
  const { tree, asked } = counted('root');
  for (let i = 0; i < 2; i++) {
    const known = trees.of('a', tree);
    assert.equal(String(await known.readFile(1, '/etc/passwd', 100)), 'root');
    assert.equal(await known.readFile(1, '/none', 100), null);
    assert.equal(await known.kindOf(1, '/work'), 'directory');
    assert.equal(await known.kindOf(1, '/made'), 'missing');
  }
  assert.deepEqual(asked, ['/etc/passwd', '/none', '/work', '/made', '/made']);
  await trees.of('b', tree).readFile(1, '/none', 100);
  assert.equal(asked.length, 6, 'another image is another tree');
});

test('large files and images that were not used for long are asked again', async () => {
  const trees = new ImageTrees();
  const large = counted('x'.repeat(LIMITS.knownFileBytes + 1));
  for (let i = 0; i < 2; i++) await trees.of('large', large.tree).readFile(1, '/f', 1e6);
  assert.equal(large.asked.length, 2);
  const small = counted('x'.repeat(LIMITS.knownFileBytes));
  const read = (chainId: string) => trees.of(chainId, small.tree).readFile(1, '/f', 1e6);
  for (let i = 0; i <= LIMITS.knownTrees; i++) await read(String(i));
  assert.equal(small.asked.length, LIMITS.knownTrees + 1);
  await read(String(LIMITS.knownTrees));
  assert.equal(small.asked.length, LIMITS.knownTrees + 1);
  await read('0');
  assert.equal(small.asked.length, LIMITS.knownTrees + 2);
});
