import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { hostArchitecture } from '#oci/platform.ts';
import type { ApiAnswer } from '../../support/api.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { dockerArchive, ociArchive } from '../image/image-fixture.ts';

/* Images as clients of the API see them: archives, what they need of the disk, removals. */

const LAYER = [{ name: 'data', content: 'x' }];
const IMAGE = { names: ['x:1'], layers: [LAYER] };
const LIMIT = { timeout: 60_000 };

const loadArchive = (daemon: TestDaemon, archive: Buffer, query = ''): Promise<ApiAnswer> =>
  daemon.api(`/images/load?quiet=1${query}`, { method: 'POST', raw: archive });
const platform = (architecture: string): string =>
  `&platform=${encodeURIComponent(JSON.stringify({ os: 'linux', architecture }))}`;

async function loaded(daemon: TestDaemon, archive: Buffer): Promise<void> {
  const answer = await loadArchive(daemon, archive);
  assert.match(answer.body.toString(), /^\{"stream":"Loaded image/);
}

async function idOf(daemon: TestDaemon, name: string): Promise<string> {
  const { status, json } = await daemon.api(`/images/${name}/json`);
  assert.equal(status, 200, name);
  return (json as { Id: string }).Id;
}

test('load and save for a platform', LIMIT, async () => {
  await using daemon = await startDaemon();
  const archive = dockerArchive([IMAGE]);
  const nothing = await loadArchive(daemon, archive, platform('s390x'));
  assert.deepEqual([nothing.status, nothing.body.toString()], [200, '{}\r\n']);
  assert.equal((await daemon.api('/images/x:1/json')).status, 404);
  const here = await loadArchive(daemon, archive, platform(hostArchitecture()));
  assert.deepEqual([here.status, here.body.toString()], [200, '{"stream":"Loaded image: x:1\\n"}\r\n']);

  assert.equal((await daemon.api(`/images/x:1/get?${platform(hostArchitecture())}`)).status, 200);
  const twice = `${platform('s390x')}${platform(hostArchitecture())}`;
  const multiple = { status: 400, message: 'multiple platform parameters not supported' };
  const variant = encodeURIComponent('{"os":"linux","architecture":"arm64","variant":"v8"}');
  const missing = 'no suitable export target found for platform linux/arm64/v8';
  for (const [answer, { status, message }] of [
    [await loadArchive(daemon, archive, twice), multiple],
    [await daemon.api(`/images/x:1/get?${twice}`), multiple],
    [await daemon.api(`/images/x:1/get?platform=${variant}`), { status: 500, message: missing }],
    [await daemon.api(`/images/get?names=x:1&platform=${variant}`), { status: 500, message: missing }],
  ] as const)
    assert.deepEqual([answer.status, answer.json], [status, { message }]);
});

const WITH_XZ = { ...LIMIT, skip: spawnSync('xz', ['--version']).status === 0 ? false : 'there is no xz' };
const PACKERS = [
  { by: 'xz', pack: (plain: Buffer) => execFileSync('xz', ['-c'], { input: plain }), when: WITH_XZ },
  { by: 'zstd', pack: (plain: Buffer) => zstdCompressSync(plain), when: LIMIT },
];

for (const { by, pack, when } of PACKERS)
  test(`archives compressed with ${by} load, cut and damaged ones do not`, when, async () => {
    await using daemon = await startDaemon();
    const second = [{ name: 'more', content: 'y'.repeat(100_000) }];
    const packed = pack(dockerArchive([{ ...IMAGE, layers: [LAYER, second] }]));
    const damaged = Buffer.from(packed);
    damaged.fill(0xa5, Math.floor(packed.length / 2), Math.floor(packed.length / 2) + 64);
    for (const bad of [packed.subarray(0, -200), damaged]) {
      const { status, body } = await loadArchive(daemon, bad);
      assert.ok(status >= 400 || /"error"/.test(body.toString()), `${status} ${body.toString()}`);
      assert.equal((await daemon.api('/images/x:1/json')).status, 404);
    }
    await loaded(daemon, packed);
    const { json } = await daemon.api('/images/x:1/json');
    const { Size, RootFS } = json as { Size: number; RootFS: { Layers: string[] } };
    assert.deepEqual([Size, RootFS.Layers.length], [100_001, 2]);
    await loaded(daemon, pack(ociArchive({ ...IMAGE, names: ['localhost/oci:1'] })));
    assert.match(await idOf(daemon, 'localhost/oci:1'), /^sha256:/);
  });

/** A file of so many bytes. */
const file = (name: string, bytes: number) => [{ name, content: 'x'.repeat(bytes) }];

test('disk use of images: what is shared, what is their own, and who uses them', LIMIT, async () => {
  await using daemon = await startDaemon();
  const [one, two, three] = [file('one', 1000), file('two', 20_000), file('three', 300_000)] as const;
  await loaded(
    daemon,
    dockerArchive([
      { names: ['df/a:1'], layers: [one] },
      { names: ['df/b:1', 'df/b:2'], layers: [one, two] },
      { names: ['df/c:1'], layers: [three] },
      // The layer is the same as in the image before; on another one it is a layer of its own.
      { names: ['df/d:1'], layers: [one, three] },
    ]),
  );
  for (const Image of ['df/b:1', 'df/b:2', 'df/c:1']) {
    const made = await daemon.api('/containers/create', { method: 'POST', body: { Image, Cmd: ['x'] } });
    assert.equal(made.status, 201, made.body.toString());
  }
  interface Use {
    readonly LayersSize: number;
    readonly Images: readonly {
      readonly RepoTags: readonly string[];
      readonly Size: number;
      readonly SharedSize: number;
      readonly Containers: number;
    }[];
  }
  const use = async (query = ''): Promise<unknown> => {
    const { LayersSize, Images } = (await daemon.api(`/system/df${query}`)).json as Use;
    const each = Images.map((image) => [image.RepoTags[0], image.Size, image.SharedSize, image.Containers]);
    return { LayersSize, each: each.toSorted((one, other) => String(one).localeCompare(String(other))) };
  };
  const before = {
    LayersSize: 621_000,
    each: [
      ['df/a:1', 1000, 1000, 0],
      ['df/b:1', 21_000, 1000, 2],
      ['df/c:1', 300_000, 0, 1],
      ['df/d:1', 301_000, 1000, 0],
    ],
  };
  assert.deepEqual(await use(), before);
  assert.deepEqual(await use('?type=image'), before);
  const listed = async (version: string): Promise<unknown> => {
    const list = (await daemon.api(`/${version}/images/json`)).json as Use['Images'];
    return list.map(({ RepoTags: [name], Containers }) => `${name} ${Containers}`).toSorted();
  };
  assert.deepEqual(await listed('v1.51'), ['df/a:1 0', 'df/b:1 2', 'df/c:1 1', 'df/d:1 0']);
  const uncounted = ['df/a:1 -1', 'df/b:1 -1', 'df/c:1 -1', 'df/d:1 -1'];
  for (const version of ['v1.50', 'v1.24']) assert.deepEqual(await listed(version), uncounted, version);
  // Total, in use, size, and what would be free without those that nobody uses.
  const row = '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}';
  if ((await dockerIsMissing()) === false) {
    const shown = await daemon.mustDocker(['system', 'df', '--format', row]);
    assert.equal(shown.split('\n')[0], 'Images 4 2 621kB 301kB (48%)');
    const names = await daemon.mustDocker(['images', '--format', '{{json .}}', 'df/c']);
    const { Containers } = JSON.parse(names) as { Containers: string };
    const version = (await daemon.mustDocker(['version', '--format', '{{.Client.APIVersion}}'])).split('.');
    assert.equal(Containers, Number(version[1]) >= 51 ? '1' : 'N/A');
  }
  for (const name of ['df/a:1', 'df/d:1']) await daemon.api(`/images/${name}`, { method: 'DELETE' });
  assert.deepEqual(await use(), {
    LayersSize: 321_000,
    each: [
      ['df/b:1', 21_000, 0, 2],
      ['df/c:1', 300_000, 0, 1],
    ],
  });
});

test('filters that are true or false take the words of the reference', LIMIT, async () => {
  await using daemon = await startDaemon();
  const said = async (dangling: readonly string[]): Promise<unknown> => {
    const filters = encodeURIComponent(JSON.stringify({ dangling }));
    const { status, json } = await daemon.api(`/images/json?filters=${filters}`);
    return status === 200 ? 200 : (json as { message: string }).message;
  };
  for (const words of [['true'], ['1'], ['0'], ['false'], ['1', 'true'], ['true', 'x']])
    assert.equal(await said(words), 200, words.join());
  for (const words of [['t'], ['True'], ['true', 'false']])
    assert.equal(await said(words), `invalid filter 'dangling=[${words.join(' ')}]'`);
  assert.equal(await said([]), "invalid filter 'dangling'");
});

test('an image with children loses its names and stays until the last child goes', LIMIT, async () => {
  await using daemon = await startDaemon();
  await loaded(daemon, dockerArchive([IMAGE]));
  const id = await idOf(daemon, 'x:1');
  const short = id.slice('sha256:'.length, 'sha256:'.length + 12);
  const body = { Image: 'x:1', Cmd: ['x'] };
  const made = await daemon.api('/containers/create?name=used', { method: 'POST', body });
  assert.equal(made.status, 201, made.body.toString());
  const committed = await daemon.api('/commit?container=used&repo=child&tag=1', { method: 'POST', body: {} });
  assert.equal(committed.status, 201, committed.body.toString());
  const child = (committed.json as { Id: string }).Id;
  await daemon.api('/containers/used', { method: 'DELETE' });

  const remove = async (name: string, query = ''): Promise<unknown> =>
    (await daemon.api(`/images/${name}${query}`, { method: 'DELETE' })).json;
  const tag = (name: string): Promise<unknown> =>
    daemon.api(`/images/${id}/tag?repo=x&tag=${name}`, { method: 'POST' });
  const message = `conflict: unable to delete ${short} (cannot be forced) - image has dependent child images`;
  const refused = async (name: string): Promise<void> => {
    for (const query of ['', '?force=1']) {
      const answer = await daemon.api(`/images/${name}${query}`, { method: 'DELETE' });
      assert.deepEqual([answer.status, answer.json], [409, { message }], `${name}${query}`);
    }
  };
  // By its id: with one name, with two, and without any.
  await refused(id);
  await refused(short);
  assert.equal(await idOf(daemon, 'x:1'), id, 'the name is still there');
  await tag('2');
  await refused(short);
  assert.deepEqual(await remove('x:2'), [{ Untagged: 'x:2' }]);
  assert.deepEqual(await remove('x:1'), [{ Untagged: 'x:1' }], 'by its last name: only that goes');
  await refused(short);

  const listed = async (query = ''): Promise<string[]> =>
    ((await daemon.api(`/images/json${query}`)).json as { Id: string }[]).map(({ Id }) => Id).toSorted();
  assert.deepEqual(await listed(), [child]);
  assert.deepEqual(await listed('?all=1'), [child, id].toSorted());
  const gone = (await remove('child:1')) as { Deleted?: string; Untagged?: string }[];
  assert.deepEqual(gone[0], { Untagged: 'child:1' });
  const images = gone.flatMap(({ Deleted = '' }) => ([child, id].includes(Deleted) ? [Deleted] : []));
  assert.deepEqual(images, [child, id], 'a parent without a name goes with its last child');
  assert.deepEqual(await listed('?all=1'), []);
});
