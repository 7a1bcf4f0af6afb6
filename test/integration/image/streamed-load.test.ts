import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, zstdCompressSync } from 'node:zlib';
import { chunks, digest, tar, type Member } from '../storage/archive-builder.ts';
import {
  dockerArchive,
  imageFixture,
  ociArchive,
  type ImageFixture,
  type TestImage,
} from './image-fixture.ts';

const BASE: readonly Member[] = [
  { name: 'bin/' },
  { name: 'bin/sh', content: 'x'.repeat(2_000_000), mode: 0o755 },
];
const TOP: readonly Member[] = [{ name: 'etc/' }, { name: 'etc/motd', content: 'hello\n' }];
const IMAGE: TestImage = { names: ['two:1'], layers: [BASE, TOP] };

/** Blobs, layers, trees and what is on its way, by name. */
function everything({ root, storage }: ImageFixture): readonly string[] {
  const list = (...path: string[]): string[] => readdirSync(join(root, ...path));
  return [
    ...list('content', 'blobs', 'sha256'),
    ...list('content', 'ingest'),
    ...list('content', 'partial'),
    ...list('overlay2').filter((name) => name !== 'l' && name !== '.removed'),
    ...storage.snapshotter.layers().map((layer) => layer.chainId),
  ];
}

test('an archive that ends or fails anywhere leaves nothing', async (t) => {
  const fix = await imageFixture(t);
  const archive = dockerArchive([IMAGE]);
  for (let part = 1; part < 10; part++) {
    const cut = archive.subarray(0, Math.floor((archive.length * part) / 10));
    await assert.rejects(fix.load(cut), { kind: 'invalidArgument' });
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield* chunks(cut, 65_536);
      throw new Error('the client is gone');
    };
    const load = fix.images.load(failing(), { onProgress: () => undefined });
    await assert.rejects(load, /the client is gone/);
    await fix.storage.snapshotter.idle();
    assert.deepEqual(everything(fix), [], `part ${part}`);
  }
  assert.equal(await fix.load(archive), 'Loaded image: two:1\n');
});

test('a layer that no image of the archive names goes, and so does what only looks like one', async (t) => {
  const fix = await imageFixture(t);
  const stray = tar([{ name: 'stray', content: 'y'.repeat(100_000) }]);
  const odd = Buffer.concat([zstdCompressSync(Buffer.alloc(1_000_000, 'no archive')), Buffer.alloc(1000)]);
  const image = dockerArchive([IMAGE]);
  const members = tar([
    { name: `blobs/sha256/${digest(stray).slice(7)}`, content: stray },
    { name: 'odd.zst', content: odd },
  ]);
  const end = 1024;
  await fix.load(Buffer.concat([members.subarray(0, members.length - end), image]));
  await fix.storage.snapshotter.idle();
  const layers = fix.storage.snapshotter.layers();
  assert.equal(layers.length, 2);
  assert.equal(everything(fix).length, 3 + 2 + 2, 'a config and two archives, two trees, two layers');
  assert.ok(layers.every((layer) => layer.blob !== digest(stray)));
});

test('images of one archive share what they have in common', async (t) => {
  const fix = await imageFixture(t);
  const other: TestImage = { names: ['other:1'], layers: [BASE, [{ name: 'other', content: 'z' }]] };
  // The same layer in another place is another layer.
  const swapped: TestImage = { names: ['swapped:1'], layers: [TOP, BASE] };
  await fix.load(dockerArchive([IMAGE, other, swapped]));
  assert.equal(fix.storage.snapshotter.layers().length, 5);
  assert.equal((await fix.images.list()).length, 3);
});

test('a layer that is here is not taken in again, however the archive compresses it', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(ociArchive({ ...IMAGE, names: ['docker.io/library/two:1'] }));
  const before = everything(fix);
  const blobs = fix.storage.snapshotter.layers().map((layer) => layer.blob);
  assert.equal(await fix.load(dockerArchive([IMAGE])), 'Loaded image: two:1\n');
  assert.deepEqual(everything(fix), before);
  // And what is saved has the archives as they came.
  const saved: Buffer[] = [];
  for await (const chunk of await fix.images.save(['two:1'])) saved.push(chunk as Buffer);
  const archive = Buffer.concat(saved);
  for (const blob of blobs) {
    const at = archive.indexOf(`blobs/sha256/${blob.slice(7)}`);
    assert.ok(at >= 0);
    assert.deepEqual([...archive.subarray(at + 512, at + 514)], [0x1f, 0x8b]);
    const { sizeBytes } = await fix.storage.content.stat(blob);
    const bytes = archive.subarray(at + 512, at + 512 + sizeBytes);
    assert.equal(digest(bytes), blob);
    assert.ok(gunzipSync(bytes).length > 0);
  }
  await fix.images.remove('two:1');
  await fix.storage.snapshotter.idle();
  assert.deepEqual(everything(fix), []);
  assert.equal(await fix.load(archive), 'Loaded image: two:1\n');
});

test('an import that fails leaves nothing', async (t) => {
  const fix = await imageFixture(t);
  const archive = tar(BASE);
  const importing = (bytes: Buffer): Promise<unknown> =>
    fix.images.importTar(chunks(bytes), { repo: 'made', tag: '1' });
  await assert.rejects(importing(archive.subarray(0, 1_000_000)), /unexpected EOF/);
  await assert.rejects(importing(Buffer.from('not a tar')), /unexpected EOF/);
  await assert.rejects(importing(Buffer.alloc(8_000_000, 7)), /invalid tar header/);
  const failing = async function* (): AsyncGenerator<Buffer> {
    yield archive.subarray(0, 1_500_000);
    throw new Error('the client is gone');
  };
  await assert.rejects(fix.images.importTar(failing(), {}), /the client is gone/);
  await fix.storage.snapshotter.idle();
  assert.deepEqual(everything(fix), []);
  assert.deepEqual(await fix.images.list(), []);
});
