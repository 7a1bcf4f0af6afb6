import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { newContainerId, type ContainerId } from '#base/ids.ts';
import { isEngineError } from '#base/errors.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Layer, SnapshotterName } from '#storage/snapshotter.ts';
import { commit, fixture, type Fixture } from './storage-fixture.ts';
import { changeTree, describeTree, randomFrom, type TreeLook } from './random-tree.ts';

const LOOKS: Readonly<Record<SnapshotterName, TreeLook>> = {
  overlay2: { links: true, directoryTimes: true },
  vfs: { links: false, directoryTimes: false },
};

async function container(fix: Fixture, parent: ChainId | null): Promise<ContainerId> {
  const id = newContainerId();
  await fix.storage.snapshotter.createWritable(id, parent);
  return id;
}

/** With the container's tree as a path. */
async function inTree<T>(fix: Fixture, id: ContainerId, work: (path: string) => T): Promise<T> {
  const handle = await fix.storage.snapshotter.rootfs(id);
  try {
    return work(`/proc/self/fd/${await handle.fd}`);
  } finally {
    await handle.close();
  }
}

async function committed(fix: Fixture, id: ContainerId, parent: ChainId | null): Promise<Layer> {
  const { trees, snapshotter } = fix.storage;
  const { digest } = await trees.layer({ id, parent }, { excluded: [] });
  return snapshotter.commitLayer({ parent, diffId: digest, blob: digest });
}

async function all(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Changes, commits, changes again, commits; then exports, and imports what was exported. */
async function roundTrip(t: TestContext, name: SnapshotterName, seed: number): Promise<void> {
  const fix = await fixture(t, name);
  const { files } = fix.kernel;
  const look = LOOKS[name];
  const random = randomFrom(seed);
  let parent: ChainId | null = null;
  for (let layer = 0; layer < 4; layer++) {
    const id = await container(fix, parent);
    const before = await inTree(fix, id, (path) => {
      changeTree(path, { random, count: 60, files });
      return describeTree(path, files, look);
    });
    const made: Layer = await committed(fix, id, parent);
    const next = await container(fix, made.chainId);
    const after = await inTree(fix, next, (path) => describeTree(path, files, look));
    assert.deepEqual(after, before, `seed ${seed}, layer ${layer}`);
    assert.equal(
      (await all(fix.storage.trees.changes({ id: next, parent: made.chainId }))).toString(),
      'null\n',
    );
    if (layer === 3) {
      const flat = await commit(fix.storage, await all(fix.storage.trees.archive({ id, parent })));
      const imported = await container(fix, flat.chainId);
      const flatLook = { ...look, directoryTimes: false };
      const expected = await inTree(fix, id, (path) => describeTree(path, files, flatLook));
      const found = await inTree(fix, imported, (path) => describeTree(path, files, flatLook));
      assert.deepEqual(found, expected, `seed ${seed}, exported`);
    }
    parent = made.chainId;
  }
}

for (const name of ['overlay2', 'vfs'] as const) {
  test(`${name}: random trees survive commits and an export`, { timeout: 120_000 }, async (t) => {
    const seeds = process.env['GANTRY_TREE_SEED']?.split(',').map(Number) ?? [2, Date.now() % 1e9];
    for (const seed of seeds) await roundTrip(t, name, seed);
  });
}

test('who leaves an archive in the middle leaves no descriptor and no thread', async (t) => {
  const fix = await fixture(t);
  const id = await container(fix, null);
  const owner = { id, parent: null };
  await inTree(fix, id, (path) => {
    for (let at = 0; at < 40; at++) writeFileSync(`${path}/${at}`, Buffer.alloc(256 * 1024, at));
  });
  // With the thread, which waits for more.
  assert.ok((await all(fix.storage.trees.archive(owner))).length > 40 * 256 * 1024);
  const open = readdirSync('/proc/self/fd').length;
  for await (const chunk of fix.storage.trees.archive(owner)) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.equal(readdirSync('/proc/self/fd').length, open);
  assert.ok((await all(fix.storage.trees.archive(owner))).length > 40 * 256 * 1024);
  await assert.rejects(all(fix.storage.trees.archive({ id: newContainerId(), parent: null })), (error) =>
    isEngineError(error, 'notFound'),
  );
});

test('directories that turn into links while they are read lead nowhere', { timeout: 120_000 }, async (t) => {
  const fix = await fixture(t);
  const outside = join(fix.root, 'canary');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'SECRET-OF-THE-HOST');
  const base = await commit(fix.storage, [
    { name: 'd/', mode: 0o755 },
    { name: 'd/secret', content: 'of the image' },
  ]);
  const id = await container(fix, base.chainId);
  const owner = { id, parent: base.chainId };
  const { files } = fix.kernel;
  const { upper } = await fix.storage.snapshotter.trees(id, base.chainId);
  const swap = startSwapper(upper, outside);
  t.after(() => swap.stop());
  const { storage } = fix;
  for (let round = 0; round < 10; round++) {
    assert.ok(!(await all(storage.trees.archive(owner))).includes('SECRET-OF'));
    const { digest } = await storage.trees.layer(owner, { excluded: ['/d/secret/x'] });
    assert.ok(!(await storage.content.readAll(digest, 1e8)).includes('SECRET-OF'));
    assert.ok(!(await all(storage.trees.changes(owner))).includes('SECRET-OF'));
  }
  await swap.stop();
  assert.ok(swap.swaps() > 0);
  assert.deepEqual(describeTree(outside, files, LOOKS.vfs).length, 1);
});

/** Puts a directory, a link to the outside, a FIFO and a file under the same name, again and again. */
function startSwapper(upper: string, outside: string): { stop(): Promise<number>; swaps(): number } {
  const script = `
    const fs = require('node:fs'); const { execFileSync } = require('node:child_process');
    const [upper, outside] = process.argv.slice(1); const at = upper + '/swapped';
    fs.rmSync(at + '.dir', { recursive: true, force: true });
    fs.mkdirSync(at + '.dir'); fs.writeFileSync(at + '.dir/secret', 'x');
    fs.symlinkSync(outside, at + '.link'); execFileSync('mkfifo', [at + '.fifo']);
    fs.symlinkSync(outside + '/secret', at + '.leaf'); fs.writeFileSync(at + '.file', 'y');
    const kinds = ['dir', 'link', 'fifo', 'leaf', 'file']; let count = 0;
    const end = Date.now() + 110000;
    process.stdout.write('ready\\n');
    while (Date.now() < end) {
      const kind = kinds[count++ % kinds.length];
      fs.renameSync(at + '.' + kind, at); fs.renameSync(at, at + '.' + kind);
      if (count % 1000 === 0) fs.writeSync(1, count + '\\n');
    }`;
  const child = spawn(process.execPath, ['-e', script, upper, outside], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const closed = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 0)));
  return {
    stop: () => {
      child.kill('SIGKILL');
      return closed;
    },
    swaps: () => Number(output.trim().split('\n').at(-1)),
  };
}
