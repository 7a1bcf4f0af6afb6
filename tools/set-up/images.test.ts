import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { unframe } from './engine.ts';
import { dockerArchive, ociLayout } from './image-archive.ts';
import { tarOf } from './tar.ts';

const IMAGE = {
  reference: 'x/y:1',
  layers: [[{ path: 'a', content: 'one' }], [{ path: 'b', content: 'two' }]],
  config: { Cmd: ['a'] },
};

function readTar(archive: Buffer, args: readonly string[]): string {
  const result = spawnSync('tar', [...args], { input: archive, encoding: 'utf8' });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

test('GNU tar reads what we write', () => {
  const long = `${'d'.repeat(60)}/${'e'.repeat(60)}/f`;
  const archive = tarOf([
    { path: 'd/', type: 'directory', mode: 0o1777 },
    { path: long, content: 'deep' },
    { path: 'l', type: 'symlink', target: 'd' },
    { path: 'h', type: 'hardlink', target: 'l' },
    { path: 'n', type: 'character', device: { major: 1, minor: 3 }, uid: 7, gid: 8 },
  ]);
  const expected = [
    'drwxrwxrwt 0/0               0 1970-01-01 00:00 d/',
    `-rw-r--r-- 0/0               4 1970-01-01 00:00 ${long}`,
    'lrwxrwxrwx 0/0               0 1970-01-01 00:00 l -> d',
    'hrw-r--r-- 0/0               0 1970-01-01 00:00 h link to l',
    'crw------- 7/8             1,3 1970-01-01 00:00 n',
  ];
  assert.deepEqual(readTar(archive, ['tv', '--numeric-owner', '--utc']).trimEnd().split('\n'), expected);
  assert.equal(readTar(archive, ['xO', long]), 'deep');
});

test('an archive names layers by what they are, and is the same each time', () => {
  const { archive, id } = dockerArchive(IMAGE);
  assert.deepEqual(dockerArchive(IMAGE).archive, archive);
  const manifest = JSON.parse(readTar(archive, ['xO', 'manifest.json'])) as [
    { Config: string; Layers: string[] },
  ];
  const config = readTar(archive, ['xO', manifest[0].Config]);
  assert.equal(id, `sha256:${createHash('sha256').update(config).digest('hex')}`);
  const { rootfs } = JSON.parse(config) as { rootfs: { diff_ids: string[] } };
  assert.deepEqual(
    rootfs.diff_ids.map((d) => `${d.slice(7)}/layer.tar`),
    manifest[0].Layers,
  );
});

test('every blob of a layout has the name of its content', () => {
  const { archive } = ociLayout(IMAGE);
  const blobs = readTar(archive, ['t'])
    .split('\n')
    .filter((path) => /^blobs\/sha256\/./.test(path));
  assert.equal(blobs.length, 4);
  for (const path of blobs) {
    const content = spawnSync('tar', ['xO', path], { input: archive }).stdout;
    assert.equal(path.split('/')[2], createHash('sha256').update(content).digest('hex'));
  }
});

test('frames are taken out of a log', () => {
  const frame = (text: string) =>
    Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
  assert.equal(unframe(Buffer.concat([frame('one\n'), frame('two\n')])), 'one\ntwo\n');
});
