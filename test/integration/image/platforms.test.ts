import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isEngineError, type ErrorKind } from '#base/errors.ts';
import type { ImageProgress } from '#image/image-service.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { hostPlatform, parsePlatform } from '#oci/platform.ts';
import { chunks, digest, tar } from '../storage/archive-builder.ts';
import { dockerArchive, imageFixture, ociArchive, type ImageFixture } from './image-fixture.ts';

const HERE = hostPlatform();
const OTHER = { os: 'linux', architecture: 's390x' };
const THIRD = 'linux/ppc64le';
const LAYER = [{ name: 'bin/' }, { name: 'bin/sh', content: 'shell' }];
const NAME = 'localhost/multi:1';

interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An OCI layout with an image for two platforms, under an index or side by side. */
function twoPlatforms(shape: 'index' | 'flat'): Buffer {
  const blobs = new Map<string, Buffer>();
  const entry = (mediaType: string, content: Buffer | object): Entry => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    blobs.set(`blobs/sha256/${digest(bytes).slice('sha256:'.length)}`, bytes);
    return { mediaType, digest: digest(bytes), size: bytes.length };
  };
  const annotations = { 'org.opencontainers.image.ref.name': NAME };
  const manifests = [OTHER, HERE].map((platform) => {
    const layer = tar([{ name: 'arch', content: platform.architecture }]);
    const config = { ...platform, rootfs: { type: 'layers', diff_ids: [digest(layer)] } };
    const manifest = entry(MEDIA_TYPES.ociManifest, {
      schemaVersion: 2,
      config: entry(MEDIA_TYPES.ociConfig, config),
      layers: [entry(MEDIA_TYPES.ociLayerGzip, gzipSync(layer))],
    });
    return { ...manifest, platform, ...(shape === 'flat' && { annotations }) };
  });
  const top =
    shape === 'flat'
      ? manifests
      : [{ ...entry(MEDIA_TYPES.ociIndex, { schemaVersion: 2, manifests }), annotations }];
  return tar([
    ...[...blobs].map(([name, content]) => ({ name, content })),
    { name: 'index.json', content: JSON.stringify({ schemaVersion: 2, manifests: top }) },
    { name: 'oci-layout', content: '{"imageLayoutVersion": "1.0.0"}' },
  ]);
}

async function load(fix: ImageFixture, archive: Buffer, platform?: string): Promise<ImageProgress[]> {
  const lines: ImageProgress[] = [];
  await fix.images.load(chunks(archive), {
    quiet: true,
    ...(platform !== undefined && { platforms: [parsePlatform(platform)] }),
    onProgress: (line) => lines.push(line),
  });
  return lines;
}

async function refused(work: Promise<unknown>, kind: ErrorKind, text: string): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isEngineError(error, kind), String(error));
    assert.equal(error.message, text);
    return true;
  });
}

const LOADED = [{ stream: `Loaded image: ${NAME}\n` }];
const architectures = async (fix: ImageFixture): Promise<string[]> => {
  const images = await fix.images.list({ all: true });
  return Promise.all(images.map(async ({ Id }) => (await fix.images.resolve(Id)).config.architecture));
};

for (const shape of ['index', 'flat'] as const) {
  for (const [asked, architecture] of [
    [undefined, HERE.architecture],
    [`linux/${HERE.architecture}`, HERE.architecture],
    [`linux/${OTHER.architecture}`, OTHER.architecture],
  ] as const)
    test(`of two platforms (${shape}) the wanted one is loaded: ${asked ?? 'none named'}`, async (t) => {
      const fix = await imageFixture(t);
      assert.deepEqual(await load(fix, twoPlatforms(shape), asked), LOADED);
      assert.deepEqual(await architectures(fix), [architecture]);
      assert.equal((await fix.images.resolve(NAME)).config.architecture, architecture);
    });
}

test('a layout with an index that has nothing for the platform is refused', async (t) => {
  const fix = await imageFixture(t);
  const text = `no matching manifest for ${THIRD} in the image archive`;
  await refused(load(fix, twoPlatforms('index'), THIRD), 'notFound', text);
  assert.deepEqual(await architectures(fix), []);
});

test('images for other platforms than the wanted one are not loaded: one empty line', async (t) => {
  const fix = await imageFixture(t);
  const image = { names: ['x:1'], layers: [LAYER] };
  for (const archive of [dockerArchive([image]), ociArchive(image), twoPlatforms('flat')])
    assert.deepEqual(await load(fix, archive, THIRD), [{}]);
  assert.deepEqual(await architectures(fix), []);
  assert.deepEqual(fix.events, []);
  assert.deepEqual(await load(fix, dockerArchive([image]), `linux/${HERE.architecture}`), [
    { stream: 'Loaded image: x:1\n' },
  ]);
});

test('save: the platform is the one of the image, or nothing is written', async (t) => {
  const fix = await imageFixture(t);
  await load(fix, twoPlatforms('index'), 'linux/s390x');
  const save = async (names: string[], platform?: string): Promise<Buffer> => {
    const parts: Buffer[] = [];
    const wanted = platform === undefined ? undefined : parsePlatform(platform);
    for await (const chunk of await fix.images.save(names, wanted)) parts.push(chunk as Buffer);
    return Buffer.concat(parts);
  };
  const { id } = await fix.images.resolve(NAME);
  for (const name of [NAME, id])
    await refused(
      save([name], 'linux/arm64'),
      'internal',
      'no suitable export target found for platform linux/arm64',
    );
  await refused(save(['nope'], 'linux/arm64'), 'notFound', 'No such image: nope');
  assert.equal(fix.storage.leases.count, 0);
  const saved = await save([NAME], 'linux/s390x');
  assert.deepEqual(saved, await save([NAME]));
  await fix.images.remove(id, { force: true });
  assert.deepEqual(await load(fix, saved, `linux/${HERE.architecture}`), [{}]);
  assert.deepEqual(await load(fix, saved, 'linux/s390x'), LOADED);
  assert.equal((await fix.images.resolve(NAME)).id, id);
});

test('save: a repository without a tag is every tag of it', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(
    dockerArchive([
      { names: ['x:1', 'x:3', 'other:1'], layers: [LAYER] },
      { names: ['x:2'], layers: [LAYER, [{ name: 'two', content: '2' }]] },
    ]),
  );
  const tags = async (...names: string[]): Promise<string[]> => {
    const parts: Buffer[] = [];
    for await (const chunk of await fix.images.save(names)) parts.push(chunk as Buffer);
    for (const { Id } of await fix.images.list()) await fix.images.remove(Id, { force: true });
    await fix.load(Buffer.concat(parts));
    return (await fix.images.list()).flatMap((image) => image.RepoTags).toSorted();
  };
  assert.deepEqual(await tags('x'), ['x:1', 'x:2', 'x:3']);
  assert.deepEqual(await tags('x:1', 'x:2'), ['x:1', 'x:2']);
  await refused(fix.images.save(['y']), 'notFound', 'No such image: y');
  await refused(fix.images.save(['x:4']), 'notFound', 'reference does not exist');
});
