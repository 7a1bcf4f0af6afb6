import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { isEngineError } from '#base/errors.ts';
import { digestOf } from '#oci/digest.ts';
import { chunks, tar } from '../storage/archive-builder.ts';
import { dockerArchive, imageFixture, type ImageFixture } from './image-fixture.ts';

const ROUNDS = Number(process.env['GANTRY_TEST_ROUNDS'] ?? '12');
const layer = (n: number) => [{ name: `l${n}/` }, { name: `l${n}/f`, content: `layer ${n}`.repeat(500) }];

/** Every image that is listed is whole; every layer and blob is somebody's. */
async function assertWhole(fix: ImageFixture): Promise<void> {
  const { snapshotter, content } = fix.storage;
  for (const { Id } of await fix.images.list()) {
    const image = await fix.images.resolve(Id);
    assert.ok(image.chainId === null || snapshotter.hasLayer(image.chainId), `${Id} has no layers`);
    assert.ok(await content.verify(image.id), `${Id} has no config`);
  }
  for (const { blob } of snapshotter.layers()) assert.ok(await content.verify(blob), `${blob} is missing`);
}

test('collections beside loads of images with common layers take nothing that is used', async (t) => {
  const fix = await imageFixture(t);
  let isOver = false;
  const loading = async (n: number): Promise<void> => {
    const archive = dockerArchive([{ names: [`i${n}:1`], layers: [layer(0), layer(1), layer(n)] }]);
    for (let round = 0; round < ROUNDS; round++) await fix.load(archive);
  };
  const removing = async (): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      await turn();
      const name = `i${2 + (i % 3)}:1`;
      await fix.images.remove(name, { force: true }).catch((error: unknown) => {
        assert.ok(isEngineError(error, 'notFound') || isEngineError(error, 'conflict'), String(error));
      });
      if (i % 4 === 0) await fix.images.prune(new Map());
      if (i % 8 === 0) await fix.images.collectGarbage();
    }
  };
  const remover = removing();
  try {
    await Promise.all([2, 3, 4].map(loading));
  } finally {
    isOver = true;
    await remover;
  }
  await assertWhole(fix);
  for (const { Id } of await fix.images.list()) await fix.images.remove(Id, { force: true });
  assert.deepEqual(fix.storage.snapshotter.layers(), []);
  assert.deepEqual(readdirSync(join(fix.root, 'content/blobs/sha256')), []);
  assert.equal(fix.storage.leases.count, 0);
});

test('an image goes, with its layers, while something else is loaded', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(dockerArchive([{ names: ['old:1'], layers: [layer(1)] }]));
  const { id, chainId } = await fix.images.resolve('old:1');
  const lease = fix.storage.leases.open();
  assert.deepEqual(await fix.images.remove('old:1'), [
    { Untagged: 'old:1' },
    { Deleted: id },
    { Deleted: chainId },
  ]);
  assert.deepEqual(readdirSync(join(fix.root, 'content/blobs/sha256')), []);
  lease.release();
});

test('what a lease names stays, a blob from before it has its name', async (t) => {
  const fix = await imageFixture(t);
  const { content, snapshotter, leases } = fix.storage;
  const lease = leases.open();
  const archive = tar(layer(1));
  const { digest } = await content.ingest(chunks(archive), { lease });
  await fix.images.collectGarbage();
  assert.equal(await content.has(digest), true);
  lease.hold(digestOf(archive));
  const { chainId } = await snapshotter.commitLayer({ parent: null, diffId: digest, blob: digest });
  await fix.images.collectGarbage();
  assert.equal(snapshotter.hasLayer(chainId), true);
  lease.release();
  await fix.images.collectGarbage();
  assert.equal(await content.has(digest), false);
  assert.equal(snapshotter.hasLayer(chainId), false);
});

test('a blob that is taken away and comes again at once is there in the end', async (t) => {
  const fix = await imageFixture(t);
  const { content } = fix.storage;
  const bytes = tar(layer(1));
  for (let round = 0; round < 20; round++) {
    const { digest } = await content.ingest(chunks(bytes));
    const [, again] = await Promise.all([content.remove(digest), content.ingest(chunks(bytes))]);
    assert.equal(await content.has(again.digest), true);
  }
});
