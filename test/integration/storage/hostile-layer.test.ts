import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import type { Layer } from '#storage/snapshotter.ts';
import { tar, type Member } from './archive-builder.ts';
import { canaryIn } from './hostile-corpus.ts';
import { commit, fixture, type Fixture } from './storage-fixture.ts';

const UNPACKED = (fix: Fixture, layer: Layer): string => {
  const { data } = fix.storage.snapshotter.graphDriverData({ layer: layer.chainId });
  return data['UpperDir'] ?? '';
};

test('paths with .., absolute ones and links stay inside the tree', async (t) => {
  const fix = await fixture(t);
  const outside = canaryIn(fix.root);
  const up = '../'.repeat(20);
  const climbing: readonly (readonly [Member, string])[] = [
    [{ name: `${up}dotdot`, content: 'a' }, `invalid entry name "${up}dotdot"`],
    [{ name: 'a/../../x', content: 'a' }, 'invalid entry name "a/../../x"'],
    [{ name: '/../x', content: 'a' }, 'invalid entry name "/../x"'],
    [{ name: '../.wh.x' }, 'invalid entry name "../.wh.x"'],
    [{ name: 'h', type: '1', link: '../../etc/passwd' }, 'invalid hardlink target "../../etc/passwd"'],
    [{ name: `${up}${outside.path.slice(1)}/file`, content: 'overwritten' }, 'invalid entry name'],
  ];
  for (const [member, text] of climbing) {
    await assert.rejects(
      commit(fix.storage, [member]),
      (error) => isEngineError(error, 'invalidArgument') && error.message.startsWith(text),
      member.name.toString(),
    );
    outside.check();
  }
  const layer = await commit(fix.storage, [
    { name: `sub/../inside`, content: 'a' },
    { name: `/absolute`, content: 'b' },
    { name: `${outside.path}/file`, content: 'overwritten' },
    { name: 'out', type: '2', link: outside.path },
    { name: 'dots', type: '2', link: `${up}${outside.path.slice(1)}` },
    { name: 'proc', type: '2', link: '/proc/self/root' },
  ]);
  const tree = UNPACKED(fix, layer);
  assert.equal(readFileSync(join(tree, 'inside'), 'utf8'), 'a');
  assert.equal(readFileSync(join(tree, 'absolute'), 'utf8'), 'b');
  assert.equal(readFileSync(join(tree, outside.path, 'file'), 'utf8'), 'overwritten');
  outside.check();
});

test('names that mean something to overlayfs have no power of their own', async (t) => {
  const fix = await fixture(t);
  const layer = await commit(fix.storage, [
    { name: 'd/' },
    {
      name: 'd/f',
      content: 'x',
      pax: {
        'SCHILY.xattr.trusted.overlay.redirect': '/etc',
        'SCHILY.xattr.user.mine': 'kept',
        'SCHILY.xattr.security.capability': Buffer.from('0100000200040000000000000000000000000000', 'hex'),
      },
    },
    { name: 'd/.wh..wh.plnk', content: '' },
  ]);
  const tree = UNPACKED(fix, layer);
  const root = fix.kernel.files.openRoot(tree);
  t.after(() => fix.kernel.files.close(root));
  const { files } = fix.kernel;
  assert.equal(files.getXattr(root, 'd/f', 'trusted.overlay.redirect'), null);
  assert.equal(files.getXattr(root, 'd/f', 'security.capability')?.length, 20);
  assert.deepEqual(readdirSync(join(tree, 'd')), ['f']);
  for (const name of ['.wh.', 'd/.wh..', 'd/.wh...']) {
    await assert.rejects(
      commit(fix.storage, [{ name, content: '' }]),
      (error) => isEngineError(error, 'invalidArgument'),
      name,
    );
  }
});

test('special files, odd names and replaced entries come out as written', async (t) => {
  const fix = await fixture(t);
  const long = `${'long/'.repeat(60)}name`;
  const layer = await commit(fix.storage, [
    { name: 'dev/' },
    { name: 'dev/null', type: '3', mode: 0o666, major: 1, minor: 3 },
    { name: 'dev/fifo', type: '6', mode: 0o640 },
    { name: 'x', pax: { path: long, mtime: '1234567890.5', uid: '70000' }, content: 'deep' },
    { name: Buffer.from([0x61, 0xff, 0x62]), content: 'bytes' },
    { name: 'a/', mode: 0o755 },
    { name: 'a/inside', content: '1' },
    { name: 'a', content: 'now a file' },
    { name: 'b', content: 'first' },
    { name: 'b', content: 'second' },
  ]);
  const tree = UNPACKED(fix, layer);
  assert.ok(lstatSync(join(tree, 'dev/null')).isCharacterDevice());
  assert.ok(lstatSync(join(tree, 'dev/fifo')).isFIFO());
  const deep = lstatSync(join(tree, long));
  assert.deepEqual([deep.mtimeMs, deep.uid], [1_234_567_890_500, 70_000]);
  assert.equal(
    readFileSync(Buffer.concat([Buffer.from(`${tree}/a`), Buffer.from([0xff, 0x62])]), 'utf8'),
    'bytes',
  );
  assert.equal(readFileSync(join(tree, 'a'), 'utf8'), 'now a file');
  assert.equal(readFileSync(join(tree, 'b'), 'utf8'), 'second');
});

test('a layer cut off at any block, or with any byte changed, is refused or whole', async (t) => {
  const fix = await fixture(t);
  const whole = tar([{ name: 'd/' }, { name: 'd/f', content: 'x'.repeat(1000) }]);
  for (let size = 512; size < whole.length - 1024; size += 300) {
    const cut = whole.subarray(0, size);
    await commit(fix.storage, cut).catch((error: unknown) =>
      assert.ok(isEngineError(error, 'invalidArgument')),
    );
  }
  assert.deepEqual(
    readdirSync(join(fix.root, 'overlay2')).filter((name) => name.startsWith('.staged-')),
    [],
  );
});

test('what the kernel refuses is told with the name of the entry', async (t) => {
  const fix = await fixture(t);
  const file: Member = { name: 'a', content: 'x' };
  const long = 'n'.repeat(300);
  const refused: readonly (readonly [readonly Member[], string])[] = [
    [[{ name: 'h', type: '1', link: 'nosuch' }], 'linkat nosuch h: no such file or directory'],
    [[file, { name: 'h', type: '1', link: 'a/b' }], 'linkat a/b h: not a directory'],
    [[{ name: 'd/' }, { name: 'h', type: '1', link: 'd' }], 'linkat d h: operation not permitted'],
    [[file, { name: 'a/b', content: 'x' }], 'openat a/b: not a directory'],
    [[file, { name: 'a/b/' }], 'mkdirat a/b: not a directory'],
    [[file, { name: 'a/b', type: '2', link: 'c' }], 'symlinkat c a/b: not a directory'],
    [[{ name: 'n', content: 'x', pax: { path: long } }], `openat ${long}: file name too long`],
  ];
  for (const [members, text] of refused) {
    await assert.rejects(
      commit(fix.storage, members),
      (error) => isEngineError(error, 'invalidArgument') && error.message === text,
      text,
    );
  }
});
