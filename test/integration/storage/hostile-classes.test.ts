import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isEngineError } from '#base/errors.ts';
import type { Layer } from '#storage/snapshotter.ts';
import { tar, type Member } from './archive-builder.ts';
import { commit, fixture, type Fixture } from './storage-fixture.ts';

/** More classes of layers that were made to do harm; the first ones stand in hostile-layer.test.ts. */
interface Ground extends Fixture {
  readonly outside: string;
  readonly tree: (layer: Layer) => string;
  readonly untouched: () => void;
}

async function ground(t: TestContext): Promise<Ground> {
  const fix = await fixture(t);
  const outside = join(fix.root, 'canary');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'untouched', { mode: 0o600 });
  const before = statSync(outside);
  return Object.assign(fix, {
    outside,
    tree: (layer: Layer) =>
      fix.storage.snapshotter.graphDriverData({ layer: layer.chainId }).data['UpperDir'] ?? '',
    untouched: () => {
      assert.deepEqual(readdirSync(outside), ['file']);
      assert.equal(readFileSync(join(outside, 'file'), 'utf8'), 'untouched');
      assert.equal(statSync(join(outside, 'file')).mode & 0o7777, 0o600);
      assert.equal(statSync(join(outside, 'file')).nlink, 1);
      assert.deepEqual([statSync(outside).mode, statSync(outside).uid], [before.mode, before.uid]);
    },
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
  fix.untouched();
  assert.deepEqual(stagedIn(fix), [], what);
}

test('hard links through links, of this layer or of the one below', async (t) => {
  const fix = await ground(t);
  const below = await commit(fix.storage, [
    { name: 'out', type: '2', link: fix.outside },
    { name: 'own', content: 'below' },
  ]);
  const attacks: readonly (readonly Member[])[] = [
    [{ name: 'h', type: '1', link: 'out/file' }],
    [{ name: 'out/h', type: '1', link: 'own' }],
    [
      { name: 'h', type: '1', link: 'out' },
      { name: 'h/file', content: 'overwritten' },
    ],
    [
      { name: 'out', type: '2', link: fix.outside },
      { name: 'h', type: '1', link: 'out/file' },
    ],
    [
      { name: 'h', type: '1', link: `${fix.outside}/file` },
      { name: 'h', content: 'overwritten' },
    ],
    [{ name: 'h', type: '1', link: 'h' }],
    [{ name: 'h', type: '1', link: '/proc/self/exe' }],
    [{ name: 'h', type: '1', link: '' }],
  ];
  for (const members of attacks) {
    await commit(fix.storage, members, below.chainId).catch((error: unknown) =>
      assert.ok(isEngineError(error, 'invalidArgument'), String(error)),
    );
    fix.untouched();
  }
});

test('a root that is a link, a file, or closed', async (t) => {
  const fix = await ground(t);
  for (const name of ['.', './', '/', '']) {
    for (const entry of [
      { type: '2', link: fix.outside },
      { type: '0', content: 'x' },
      { type: '1', link: 'etc' },
      { type: '3', major: 1, minor: 3 },
    ]) {
      const members = [
        { name, ...entry },
        { name: 'file', content: 'overwritten' },
      ];
      await commit(fix.storage, members).catch((error: unknown) =>
        assert.ok(isEngineError(error, 'invalidArgument'), String(error)),
      );
      fix.untouched();
    }
  }
  const closed = await commit(fix.storage, [
    { name: './', mode: 0 },
    { name: 'f', content: 'x' },
  ]);
  assert.equal(readFileSync(join(fix.tree(closed), 'f'), 'utf8'), 'x');
});

test('opaque whiteouts by the thousand, and at the root', { timeout: 60_000 }, async (t) => {
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
  fix.untouched();
});

test('sizes and records that lie', async (t) => {
  const fix = await ground(t);
  const sizes = ['18446744073709551616', '-1', '1e3', ' 5', '0x10', '9223372036854775807', '1000000'];
  for (const size of sizes) await refused(fix, [{ name: 'f', content: 'x', pax: { size } }], `size ${size}`);
  const names = { path: 'a\0b', linkpath: 'a\0b' };
  for (const [key, value] of Object.entries(names))
    await commit(fix.storage, [{ name: 'l', type: '2', link: 'x', pax: { [key]: value } }]).catch(
      (error: unknown) => assert.ok(isEngineError(error, 'invalidArgument'), String(error)),
    );
  await refused(fix, [{ name: 'f', pax: { comment: 'x'.repeat(3 << 20) } }], 'records of 3 MiB');
  for (const record of ['9999999999 path=x\n', '5 path', '0 a=b\n', 'x path=y\n', '-5 a=b\n', '8 path=x']) {
    const body = tar([
      { name: 'pax', type: 'x', content: record },
      { name: 'f', content: 'x' },
    ]);
    await commit(fix.storage, body).catch((error: unknown) =>
      assert.ok(isEngineError(error, 'invalidArgument'), record),
    );
  }
  for (const ids of [{ uid: '4294967296' }, { gid: '-2' }, { mtime: '1e99' }, { mtime: 'nan' }])
    await commit(fix.storage, [{ name: 'f', content: 'x', pax: ids }]).catch((error: unknown) =>
      assert.ok(isEngineError(error, 'invalidArgument'), JSON.stringify(ids)),
    );
  fix.untouched();
  assert.deepEqual(stagedIn(fix), []);
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
  const deep = 'd/'.repeat(900);
  await commit(fix.storage, [{ name: 'x', content: 'x', pax: { path: `${deep}f` } }]).catch(
    (error: unknown) => assert.ok(isEngineError(error, 'invalidArgument'), String(error)),
  );
  const members = Array.from({ length: 40 }, (_, i) => ({
    ...{ name: 'x', type: '5' },
    pax: { path: `${'e/'.repeat(20 * (i + 1))}` },
  }));
  await commit(fix.storage, members).catch((error: unknown) =>
    assert.ok(isEngineError(error, 'invalidArgument'), String(error)),
  );
  fix.untouched();
});

test('one name after the other, in all shapes, within one batch', async (t) => {
  const fix = await ground(t);
  const shapes: readonly Member[] = [
    { name: 'n', content: 'file' },
    { name: 'n', type: '2', link: fix.outside },
    { name: 'n/', mode: 0o755 },
    { name: 'n/file', content: 'below' },
    { name: 'n', type: '2', link: fix.outside },
    { name: 'n', type: '6' },
    { name: 'n', type: '2', link: '../../../../../..' },
    { name: 'n', content: 'last' },
  ];
  const layer = await commit(fix.storage, [...shapes, ...shapes, ...shapes]);
  assert.equal(readFileSync(join(fix.tree(layer), 'n'), 'utf8'), 'last');
  fix.untouched();
  const through: Member[] = [];
  for (let i = 0; i < 300; i++) {
    through.push({ name: `d${i % 3}/`, mode: 0o755 }, { name: `d${i % 3}/f`, content: `${i}` });
    through.push({ name: `d${i % 3}`, type: '2', link: fix.outside });
    through.push({ name: `d${i % 3}/file`, content: 'overwritten', mode: 0o777, uid: 1 });
  }
  await commit(fix.storage, through).catch((error: unknown) =>
    assert.ok(isEngineError(error), String(error)),
  );
  fix.untouched();
  const times: readonly Member[] = [
    { name: 't', type: '2', link: `${fix.outside}/file`, mtime: 1, uid: 7, gid: 7, mode: 0o777 },
    { name: 't', type: '2', link: `${fix.outside}`, mtime: 1, uid: 7, gid: 7, mode: 0o777 },
  ];
  await commit(fix.storage, times);
  fix.untouched();
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
  fix.untouched();
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
