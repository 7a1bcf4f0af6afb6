import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isEngineError, type ErrorKind } from '#base/errors.ts';
import { newContainerId } from '#base/ids.ts';
import { chunks, digest, tar } from '../storage/archive-builder.ts';
import {
  dockerArchive,
  imageFixture,
  ociArchive,
  oldDockerArchive,
  type ImageFixture,
} from './image-fixture.ts';

const LAYER = [{ name: 'bin/' }, { name: 'bin/sh', content: 'shell', mode: 0o755 }];
const SECOND = [{ name: 'etc/' }, { name: 'etc/os-release', content: 'NAME=x\n' }];

const blobs = (fix: ImageFixture): string[] => readdirSync(join(fix.root, 'content/blobs/sha256'));
const trees = (fix: ImageFixture): string[] =>
  readdirSync(join(fix.root, 'overlay2')).filter((name) => name !== 'l' && !name.startsWith('.'));

async function refused(work: Promise<unknown>, kind: ErrorKind, text: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isEngineError(error, kind), String(error));
    assert.match(error.message, text);
    return true;
  });
}

test('several images of one archive load with their names, and are there after a restart', async (t) => {
  const fix = await imageFixture(t);
  const archive = dockerArchive([
    { names: ['a:1', 'example.com/team/a:x'], layers: [LAYER] },
    { names: ['b:latest'], layers: [LAYER, SECOND], created: '2025-01-01T00:00:00Z' },
  ]);
  const said = await fix.load(archive);
  assert.equal(said, 'Loaded image: a:1\nLoaded image: example.com/team/a:x\nLoaded image: b:latest\n');
  assert.deepEqual(
    fix.events.map((event) => event.action),
    ['load', 'load'],
  );
  await fix.reopen();
  const list = await fix.images.list();
  assert.deepEqual(
    list.map((image) => image.RepoTags),
    [['b:latest'], ['a:1', 'example.com/team/a:x']],
  );
  assert.deepEqual(
    list.map((image) => image.Size),
    [12, 5],
  );
  const b = await fix.images.resolve('b');
  assert.equal(b.config.diffIds.length, 2);
  assert.equal((await fix.images.resolve(b.id.slice(7, 19))).id, b.id);
  assert.equal((await fix.images.resolve(b.id)).id, b.id);
});

test('old docker archives, OCI layouts and compressed archives load, too', async (t) => {
  const fix = await imageFixture(t);
  const old = { names: ['old:1'], layers: [LAYER, SECOND, LAYER] };
  assert.equal(await fix.load(oldDockerArchive(old)), 'Loaded image: old:1\n');
  const oci = ociArchive({ names: ['localhost/pod:2'], layers: [LAYER, SECOND] });
  assert.equal(await fix.load(gzipSync(oci)), 'Loaded image: localhost/pod:2\n');
  assert.equal((await fix.images.resolve('localhost/pod:2')).sizeBytes, 12);
  assert.match(
    await fix.load(dockerArchive([{ names: [], layers: [SECOND] }])),
    /^Loaded image ID: sha256:[0-9a-f]{64}\n$/,
  );
});

test('a name that moves is announced, and the image that lost it stays', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(dockerArchive([{ names: ['x:1'], layers: [LAYER] }]));
  const first = await fix.images.resolve('x:1');
  const said = await fix.load(dockerArchive([{ names: ['x:1'], layers: [SECOND] }]));
  assert.equal(
    said,
    `The image x:1 already exists, renaming the old one with ID ${first.id} to empty string\nLoaded image: x:1\n`,
  );
  const dangling = await fix.images.list({ filters: new Map([['dangling', ['true']]]) });
  assert.deepEqual(
    dangling.map((image) => image.Id),
    [first.id],
  );
});

test('broken archives are refused and leave nothing', async (t) => {
  const fix = await imageFixture(t);
  const good = dockerArchive([{ names: ['x:1'], layers: [LAYER] }]);
  await refused(fix.load(Buffer.from('not a tar')), 'invalidArgument', /^unexpected EOF$/);
  await refused(fix.load(good.subarray(0, 3000)), 'invalidArgument', /^unexpected EOF$/);
  await refused(fix.load(Buffer.alloc(4096, 7)), 'invalidArgument', /^archive\/tar: invalid tar header$/);
  await refused(
    fix.load(tar([{ name: 'etc/' }])),
    'invalidArgument',
    /manifest\.json: no such file or directory$/,
  );
  const flipped = Buffer.from(good);
  flipped[512 * 5] = 0x7a;
  await refused(fix.load(flipped), 'invalidArgument', /unexpected digest|invalid tar header/);
  const manifest = JSON.stringify([{ Config: 'c.json', RepoTags: ['x:1'], Layers: ['l.tar'] }]);
  const layer = tar(LAYER);
  const wrong = JSON.stringify({
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [digest(Buffer.from('other'))] },
  });
  const lying = tar([
    { name: 'l.tar', content: layer },
    { name: 'c.json', content: wrong },
    { name: 'manifest.json', content: manifest },
  ]);
  await refused(fix.load(lying), 'invalidArgument', /invalid diffID/);
  const keys = Array.from({ length: 400_000 }, (_, i) => `"${i}":""`).join(',');
  const endless = tar([
    { name: 'l.tar', content: layer },
    { name: 'c.json', content: `{"os":"linux","config":{"Labels":{${keys}}}}` },
    { name: 'manifest.json', content: manifest },
  ]);
  await refused(fix.load(endless), 'tooLarge', /^image config: JSON of more than 16384 values$/);
  const counted = tar([
    { name: 'l.tar', content: layer },
    { name: 'c.json', content: '{"os":"linux","rootfs":{"type":"layers"}}' },
    { name: 'manifest.json', content: manifest },
  ]);
  await refused(
    fix.load(counted),
    'invalidArgument',
    /^invalid manifest, layers length mismatch: expected 1, got 0$/,
  );
  assert.deepEqual(blobs(fix), []);
  assert.deepEqual(trees(fix), []);
  assert.deepEqual(await fix.images.list(), []);
});

test('an image that lost a part is not listed, and loading it again repairs it', async (t) => {
  const fix = await imageFixture(t);
  const archive = dockerArchive([{ names: ['x:1'], layers: [LAYER, SECOND] }]);
  await fix.load(archive);
  const image = await fix.images.resolve('x:1');
  await fix.storage.close();
  writeFileSync(join(fix.root, 'content/blobs/sha256', image.id.slice(7)), 'damaged');
  await fix.reopen();
  assert.deepEqual(await fix.images.list(), []);
  await fix.load(archive);
  await fix.storage.close();
  const [top] = fix.storage.snapshotter.layers();
  assert.ok(top);
  rmSync(join(fix.root, 'overlay2'), { recursive: true });
  await fix.reopen();
  assert.equal((await fix.images.resolve('x:1')).id, image.id);
  assert.equal(fix.storage.snapshotter.layers().length, 2);
});

test('import makes an image of one layer, with changes', async (t) => {
  const fix = await imageFixture(t);
  const changes = [
    'ENV X=1',
    'LABEL l=v',
    'EXPOSE 80',
    'WORKDIR /tmp',
    'USER nobody',
    'ENTRYPOINT ["/bin/echo"]',
    'CMD ["dflt"]',
    'VOLUME /data',
    'STOPSIGNAL SIGINT',
  ];
  const id = await fix.images.importTar(chunks(gzipSync(tar(LAYER))), {
    repo: 'imp:2',
    message: 'a message',
    changes,
  });
  assert.deepEqual(
    fix.events.map(({ action, attributes }) => [action, attributes['name'], attributes['l']]),
    [
      ['import', id, 'v'],
      ['tag', 'imp:2', 'v'],
    ],
  );
  const shown = await fix.images.inspect('imp:2');
  assert.deepEqual(shown['Config'], {
    Cmd: ['dflt'],
    Entrypoint: ['/bin/echo'],
    Env: ['X=1'],
    ExposedPorts: { '80/tcp': {} },
    Labels: { l: 'v' },
    OnBuild: null,
    StopSignal: 'SIGINT',
    User: 'nobody',
    Volumes: { '/data': {} },
    WorkingDir: '/tmp',
  });
  assert.equal(shown['Comment'], 'a message');
  const [step] = await fix.images.history('imp:2');
  assert.deepEqual([step?.Id, step?.Comment, step?.Size, step?.Tags], [id, 'a message', 5, ['imp:2']]);
  const bad = (options: object): Promise<unknown> => fix.images.importTar(chunks(tar(LAYER)), options);
  await refused(bad({ changes: ['RUN x'] }), 'invalidArgument', /^RUN is not a valid change command$/);
  await refused(bad({ repo: 'BAD/Name' }), 'invalidArgument', /repository name \(Name\) must be lowercase$/);
  await refused(
    fix.images.importTar(chunks(Buffer.from('not a tar')), {}),
    'invalidArgument',
    /^unexpected EOF$/,
  );
  assert.equal((await fix.images.list()).length, 1);
});

test('what is saved loads again, with the same ids', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(ociArchive({ names: ['localhost/a:1'], layers: [LAYER, SECOND] }));
  await fix.images.tag('localhost/a:1', 'bb2', '1');
  const id = (await fix.images.resolve('bb2:1')).id;
  const parts: Buffer[] = [];
  for await (const chunk of await fix.images.save(['localhost/a:1', 'bb2:1'])) parts.push(chunk as Buffer);
  await fix.images.remove(id, { force: true });
  assert.equal(fix.storage.leases.count, 0);
  assert.deepEqual(blobs(fix), []);
  assert.equal(await fix.load(Buffer.concat(parts)), 'Loaded image: localhost/a:1\nLoaded image: bb2:1\n');
  assert.equal((await fix.images.resolve('bb2:1')).id, id);
  await refused(fix.images.save(['nope']), 'notFound', /^No such image: nope$/);
});

test('a damaged layer record costs neither the image nor its containers', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(dockerArchive([{ names: ['x:1'], layers: [LAYER, SECOND] }]));
  const image = await fix.images.resolve('x:1');
  const id = newContainerId();
  await fix.storage.snapshotter.createWritable(id, image.chainId);
  await fix.storage.close();
  const records = join(fix.root, 'layers/overlay2');
  for (const name of readdirSync(records)) writeFileSync(join(records, name), 'sha256:0\n{}\n');
  await fix.reopen();
  assert.equal((await fix.images.resolve('x:1')).sizeBytes, 12);
  const rootfs = await fix.storage.snapshotter.rootfs(id);
  await rootfs.fd;
  await rootfs.close();
});
