import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isEngineError } from '#base/errors.ts';
import type { Layer } from '#storage/snapshotter.ts';
import { tar, type Member } from './archive-builder.ts';
import { canaryIn, hostileLayers, shapes, type Canary } from './hostile-corpus.ts';
import { commit, fixture, type Fixture } from './storage-fixture.ts';

/** Classes of layers that were made to do harm; the first ones stand in hostile-layer.test.ts. */

interface Ground extends Fixture {
  readonly outside: Canary;
  readonly tree: (layer: Layer) => string;
}

async function ground(t: TestContext): Promise<Ground> {
  const fix = await fixture(t);
  return Object.assign(fix, {
    outside: canaryIn(fix.root),
    tree: (layer: Layer) =>
      fix.storage.snapshotter.graphDriverData({ layer: layer.chainId }).data['UpperDir'] ?? '',
  });
}

const stagedIn = (fix: Fixture): string[] =>
  readdirSync(join(fix.root, 'overlay2')).filter((name) => name.startsWith('.staged'));

async function refused(fix: Ground, members: readonly Member[] | Buffer, what: string): Promise<void> {
  await assert.rejects(
    commit(fix.storage, members),
    (error) => isEngineError(error, 'invalidArgument'),
    what,
  );
  fix.outside.check();
  assert.deepEqual(stagedIn(fix), [], what);
}

test('no layer of the corpus touches what lies outside, and refused ones leave nothing', {
  timeout: 120_000,
}, async (t) => {
  const fix = await ground(t);
  const corpus = hostileLayers(fix.outside.path);
  assert.ok(corpus.length >= 90, `${corpus.length} layers`);
  for (const { name, below, members } of corpus) {
    const parent = below === undefined ? null : (await commit(fix.storage, below)).chainId;
    const problem = await commit(fix.storage, members, parent).catch((error: unknown) => error);
    if (problem instanceof Error) assert.ok(isEngineError(problem, 'invalidArgument'), `${name}: ${problem}`);
    fix.outside.check(name);
    assert.deepEqual(stagedIn(fix), [], name);
  }
});

test('a root that is closed', async (t) => {
  const fix = await ground(t);
  const closed = await commit(fix.storage, [
    { name: './', mode: 0 },
    { name: 'f', content: 'x' },
  ]);
  assert.equal(readFileSync(join(fix.tree(closed), 'f'), 'utf8'), 'x');
});

test('opaque whiteouts by the thousand, and at the root', { timeout: 180_000 }, async (t) => {
  const fix = await ground(t);
  const below = await commit(fix.storage, [{ name: 'd0/' }, { name: 'd0/f', content: 'x' }]);
  const many = Array.from({ length: 20_000 }, (_, i) => ({ name: `d${i}/.wh..wh..opq`, content: '' }));
  const layer = await commit(fix.storage, many, below.chainId);
  assert.equal(readdirSync(fix.tree(layer)).length, 20_000);
  const files = Array.from({ length: 20_000 }, (_, i) => ({ name: `w/.wh.f${i}`, content: '' }));
  await commit(fix.storage, files, below.chainId);
  const root = await commit(
    fix.storage,
    [
      { name: '.wh..wh..opq', content: '' },
      { name: 'new', content: 'x' },
    ],
    below.chainId,
  );
  assert.deepEqual(
    readdirSync(fix.tree(root)).filter((name) => name === 'new'),
    ['new'],
  );
  fix.outside.check();
});

test('sizes and records that lie', async (t) => {
  const fix = await ground(t);
  const sizes = ['18446744073709551616', '-1', '1e3', ' 5', '0x10', '9223372036854775807', '1000000'];
  for (const size of sizes) await refused(fix, [{ name: 'f', content: 'x', pax: { size } }], `size ${size}`);
  await refused(fix, [{ name: 'f', pax: { comment: 'x'.repeat(3 << 20) } }], 'records of 3 MiB');
});

test('files with holes are refused, whoever wrote them', async (t) => {
  const fix = await ground(t);
  await refused(fix, [{ name: 's', type: 'S', content: 'x' }], 'GNU sparse');
  for (const pax of [
    { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1099511627776' },
    { 'GNU.sparse.map': '0,1', 'GNU.sparse.size': '1099511627776' },
  ])
    await refused(fix, [{ name: 's', content: 'x', pax }], JSON.stringify(pax));
});

test('names and paths without measure', async (t) => {
  const fix = await ground(t);
  await refused(fix, [{ name: 'x', content: 'x', pax: { path: `${'d/'.repeat(2600)}f` } }], 'path of 5 KiB');
  await refused(fix, [{ name: 'x', type: '2', pax: { linkpath: 'l'.repeat(5000) } }], 'target of 5 KB');
  const members = Array.from({ length: 40 }, (_, i) => ({
    ...{ name: 'x', type: '5' },
    pax: { path: `${'e/'.repeat(20 * (i + 1))}` },
  }));
  await commit(fix.storage, members).catch((error: unknown) =>
    assert.ok(isEngineError(error, 'invalidArgument'), String(error)),
  );
  fix.outside.check();
});

test('one name after the other, in all shapes, within one batch: the last one stands', async (t) => {
  const fix = await ground(t);
  const all = shapes(fix.outside.path).find(({ name }) => name === 'all shapes');
  const layer = await commit(fix.storage, all?.members ?? []);
  assert.equal(readFileSync(join(fix.tree(layer), 'n'), 'utf8'), 'last');
  fix.outside.check();
});

test('devices and links beside each other', async (t) => {
  const fix = await ground(t);
  const layer = await commit(fix.storage, [
    { name: 'sda', type: '4', major: 8, minor: 0, mode: 0o666 },
    { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
    { name: 'white', type: '3', major: 0, minor: 0, mode: 0o666 },
    { name: 'h', type: '1', link: 'sda' },
    { name: 'l', type: '2', link: 'sda' },
  ]);
  const tree = fix.tree(layer);
  assert.ok(lstatSync(join(tree, 'sda')).isBlockDevice());
  assert.equal(readlinkSync(join(tree, 'l')), 'sda');
  fix.outside.check();
});

test('attributes of overlayfs are dropped from directories, too', async (t) => {
  const fix = await ground(t);
  const pax = Object.fromEntries(
    ['opaque', 'redirect', 'metacopy', 'origin', 'impure', 'nlink'].flatMap((name) => [
      [`SCHILY.xattr.trusted.overlay.${name}`, 'y'],
      [`SCHILY.xattr.user.overlay.${name}`, 'y'],
    ]),
  );
  const layer = await commit(fix.storage, [
    { name: 'd/', pax },
    { name: 'f', content: 'x', pax },
  ]);
  const { files } = fix.kernel;
  const root = files.openRoot(fix.tree(layer));
  t.after(() => files.close(root));
  for (const name of ['opaque', 'redirect', 'metacopy', 'origin'])
    for (const path of ['d', 'f']) assert.equal(files.getXattr(root, path, `trusted.overlay.${name}`), null);
});

test('compressed bytes that grow are written piece by piece, and nothing is left of a broken end', async (t) => {
  const fix = await ground(t);
  const content = Buffer.alloc(64 << 20);
  const bomb = gzipSync(tar([{ name: 'zeros', content }]), { level: 9 });
  assert.ok(bomb.length < 100_000);
  const before = process.memoryUsage().rss;
  const { digest } = await fix.storage.content.ingest(only(bomb.subarray(0, -100)));
  await assert.rejects(
    fix.storage.snapshotter.commitLayer({ parent: null, diffId: digest, blob: digest }),
    (error) => isEngineError(error),
  );
  assert.ok(process.memoryUsage().rss - before < 200 << 20, 'memory grew with the bomb');
  assert.deepEqual(stagedIn(fix), []);
  assert.ok(existsSync(join(fix.root, 'overlay2')));
});

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  await Promise.resolve();
  yield bytes;
}
