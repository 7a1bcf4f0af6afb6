import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { PLAIN_ENV, until } from '../../support/command.ts';
import { e2e } from '../../support/e2e.ts';
import { imageArchive } from '../../support/images.ts';
import { type BuiltStandinImage, HERE, type StandinImage } from '../../support/registry/content.ts';
import {
  nothingIsBegun,
  pull,
  type RegistryTest,
  registryTest,
  smallLayers,
} from '../../support/registry/fixture.ts';
import { type Fault, type LedgerEntry, OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { registryIsMissing, startRegistry } from '../../support/registry/real.ts';

const R = '127.0.0.1:5000';
const plain = { hosts: { [R]: [OPEN_REGISTRY] }, tls: 'none' } as const;
const MIB = 1024 * 1024;
const LARGE_BYTES = 6 * MIB;
/** What may be sent twice: what lies in buffers of the sender and the kernel when a connection ends. */
const TAIL_BYTES = 2 * MIB;

/** Bytes that no compression makes fewer. */
const large = (name: string) => [{ path: name, content: randomBytes(LARGE_BYTES) }];
const slow = (bytesPerSecond: number): Fault => ({
  ...{ method: 'GET', path: '/blobs/', act: { kind: 'slow', bytesPerSecond } },
});

function runnable(repository: string, tags: readonly string[]): StandinImage {
  const content = readFileSync('/bin/busybox');
  const layer = [
    { path: 'bin/', type: 'directory' as const },
    { path: 'bin/busybox', content, mode: 0o755 },
    ...['sh', 'echo', 'cat'].map((name) => ({
      ...{ path: `bin/${name}`, type: 'symlink' as const, target: 'busybox' },
    })),
  ];
  return { repository, tags, layers: [layer, [{ path: 'name', content: repository }]] };
}

const blobsOf = (entries: readonly LedgerEntry[], digest: string): readonly LedgerEntry[] =>
  entries.filter(({ method, url }) => method === 'GET' && url.includes(`/blobs/${digest}`));

function sentOf(entries: readonly LedgerEntry[], digest: string): number {
  return blobsOf(entries, digest).reduce((sum, entry) => sum + entry.sentBytes, 0);
}

async function partialBytes({ daemon }: RegistryTest): Promise<number> {
  const folder = `${daemon.dataRoot}/content/partial`;
  let bytes = 0;
  // One that is whole meanwhile goes.
  const sizeOf = (name: string): Promise<number> =>
    stat(`${folder}/${name}`).then(
      ({ size }) => size,
      () => 0,
    );
  for (const name of await readdir(folder)) bytes += await sizeOf(name);
  return bytes;
}

async function idOf({ daemon }: RegistryTest, name: string): Promise<string> {
  return daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', name]);
}

registryTest(
  'run and create pull what is missing, and what they are told to',
  { ...plain, images: [runnable('team/app', ['v', 'w'])] },
  async (given) => {
    const { daemon, standin } = given;
    const name = `${R}/team/app:v`;
    const run = await daemon.docker(['run', '--rm', name, 'echo', 'pulled']);
    assert.equal(run.exit, 0, run.stderr);
    assert.equal(run.stdout, 'pulled\n');
    assert.match(run.stderr, /^Unable to find image .+ locally\nv: Pulling from team\/app\n/);
    assert.match(run.stderr, /\nStatus: Downloaded newer image for 127\.0\.0\.1:5000\/team\/app:v\n$/);
    await standin.ledger({ clear: true });
    const again = await daemon.docker(['run', '--rm', '--pull', 'always', name, 'cat', 'name']);
    assert.equal(again.stdout, 'team/app');
    assert.match(again.stderr, /Status: Image is up to date/);
    const methods = (await standin.ledger()).entries.map(({ method, url }) => `${method} ${url}`);
    assert.deepEqual(methods, ['GET /v2/', 'HEAD /v2/team/app/manifests/v'], 'nothing is fetched twice');
    await daemon.mustDocker(['rmi', name]);
    const quiet = await daemon.docker(['create', '--quiet', name, 'cat']);
    assert.equal(quiet.stderr, '');
    const missing = await daemon.docker(['run', '--rm', `${R}/no/such:1`]);
    assert.equal(missing.exit, 125);
    assert.match(missing.stderr, /manifest for 127\.0\.0\.1:5000\/no\/such:1 not found: manifest unknown: /);
    assert.equal(await daemon.mustDocker(['pull', '-q', `${R}/team/app:w`]), `${R}/team/app:w`);
    await nothingIsBegun(given);
  },
);

registryTest(
  'tags, digests, every tag, and the names that images have then',
  { ...plain, images: [{ repository: 'team/app', tags: ['a', 'b', 'c'], layers: smallLayers('x') }] },
  async (given) => {
    const { daemon, standin } = given;
    const [image] = standin.images as [BuiltStandinImage];
    const precise = `${R}/team/app@${image.digest}`;
    const first = await daemon.mustDocker(['pull', precise]);
    assert.match(first, new RegExp(`^${precise}: Pulling from team/app\n`));
    assert.match(
      first,
      new RegExp(`\nDigest: ${image.digest}\nStatus: Downloaded newer image for ${precise}\n`),
    );
    const view = ['image', 'inspect', '--format', '{{json .RepoTags}} {{json .RepoDigests}}', image.id];
    assert.equal(await daemon.mustDocker(view), `[] ["${precise}"]`);
    const all = await daemon.mustDocker(['pull', '--all-tags', `${R}/team/app`]);
    for (const tag of ['a', 'b', 'c']) assert.match(all, new RegExp(`^${tag}: Pulling from team/app$`, 'm'));
    assert.match(all, /Status: Downloaded newer image for 127\.0\.0\.1:5000\/team\/app\n/);
    const tags = ['a', 'b', 'c'].map((tag) => `${R}/team/app:${tag}`);
    assert.equal(await daemon.mustDocker(view), `${JSON.stringify(tags)} ["${precise}"]`);
    const again = await daemon.mustDocker(['pull', `${R}/team/app:a`]);
    assert.match(again, /^a: Pulling from team\/app\nDigest: .+\nStatus: Image is up to date/);
    const gone = precise.replace(/[0-9a-f]{64}$/, 'a'.repeat(64));
    const { stderr } = await daemon.docker(['pull', gone]);
    assert.equal(
      stderr,
      `Error response from daemon: manifest for ${gone} not found: manifest unknown: manifest unknown\n`,
    );
    const seconds = Math.floor(Date.now() / 1000);
    const events = await daemon.mustDocker([
      ...['events', '--since', `${seconds - 60}`, '--until', `${seconds + 1}`, '--filter', 'event=pull'],
      ...['--format', '{{.Actor.ID}} {{.Actor.Attributes.name}}'],
    ]);
    const short = `${R}/team/app`;
    assert.deepEqual(events.split('\n'), [`${precise} ${short}`, `${short} ${short}`, `${short}:a ${short}`]);
    const time = await daemon.mustDocker([
      'image',
      'inspect',
      '--format',
      '{{.Metadata.LastTagTime}}',
      tags[0] ?? '',
    ]);
    assert.match(time, /^0001-01-01/);
  },
);

const PLATFORMS = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
  { os: 'linux', architecture: 'arm', variant: 'v7' },
];

for (const documents of ['docker', 'oci'] as const)
  registryTest(
    `the image for a platform is found in a list (${documents})`,
    {
      ...plain,
      images: [
        {
          ...{ repository: 'multi', tags: ['v'], documents, platforms: PLATFORMS },
          layers: smallLayers('m'),
        },
      ],
    },
    async (given) => {
      const { daemon, standin } = given;
      const name = `${R}/multi:v`;
      const [image] = standin.images as [BuiltStandinImage];
      const first = await daemon.mustDocker(['pull', name]);
      assert.match(first, new RegExp(`Digest: ${image.digest}`));
      assert.equal(await idOf(given, name), image.id);
      for (const [platform, shown] of [
        ['linux/arm64', 'arm64'],
        ['linux/arm/v8', 'arm'],
      ] as const) {
        await daemon.mustDocker(['pull', '--platform', platform, name]);
        const format = '{{.Architecture}} {{index .RepoDigests 0}}';
        const view = await daemon.mustDocker(['image', 'inspect', '--format', format, name]);
        assert.equal(view, `${shown} ${R}/multi@${image.digest}`);
      }
      const other = await daemon.docker(['pull', '--platform', 'linux/s390x', name]);
      assert.equal(other.exit, 1);
      assert.equal(other.stderr, 'no matching manifest for linux/s390x in the manifest list entries\n');
      for (const again of [name, `${R}/multi@${image.digest}`]) {
        await daemon.mustDocker(['pull', '-q', again]);
        assert.equal(await idOf(given, again), image.id);
      }
      await nothingIsBegun(given);
    },
  );

registryTest(
  'what a list demands of the system is told, and heeded',
  {
    ...plain,
    images: [
      {
        ...{ repository: 'demanding', tags: ['v'], layers: smallLayers('d') },
        platforms: [{ ...HERE, 'os.version': '1', 'os.features': ['f', 'g'] }],
      },
      {
        ...{ repository: 'either', tags: ['v'], layers: smallLayers('e') },
        platforms: [
          { ...HERE, 'os.features': ['f'] },
          { ...HERE, 'os.version': '2' },
        ],
      },
    ],
  },
  async ({ daemon }) => {
    const platforms = async (name: string): Promise<unknown> =>
      ((await daemon.api(`/distribution/${R}/${name}:v/json`)).json as { Platforms: unknown }).Platforms;
    const { os, architecture } = HERE;
    assert.deepEqual(await platforms('demanding'), [
      { os, architecture, 'os.version': '1', 'os.features': ['f', 'g'] },
    ]);
    assert.deepEqual(await platforms('either'), [
      { os, architecture, 'os.features': ['f'] },
      { os, architecture, 'os.version': '2' },
    ]);
    const name = `${R}/demanding:v`;
    const refused = (platform: string): string =>
      `no matching manifest for ${platform} in the manifest list entries`;
    assert.equal((await pull(daemon, name)).error, refused(`${os}/${architecture}`));
    const half = `${os}(1+f)/${architecture}`;
    assert.equal((await pull(daemon, name, { platform: half })).error, refused(half));
    const whole = await pull(daemon, name, { platform: `${os}(+f+g)/${architecture}` });
    assert.equal(whole.error, '');
    assert.match(whole.lines.at(-1)?.status ?? '', /^Status: Downloaded/);
    await daemon.mustDocker(['pull', '-q', `${R}/either:v`]);
    const version = ['image', 'inspect', '--format', '{{.OsVersion}}', `${R}/either:v`];
    assert.equal(await daemon.mustDocker(version), '2');
  },
);

registryTest(
  'what is reported: every step of every layer, and how many bytes there really are',
  {
    ...{ ...plain, faults: [slow(4 * MIB)] },
    images: [{ repository: 'large', tags: ['v'], layers: [large('a'), smallLayers('s')[0] ?? []] }],
  },
  async ({ daemon, standin }) => {
    const { lines, error, tookMs } = await pull(daemon, `${R}/large:v`);
    assert.equal(error, '');
    assert.deepEqual(lines[0], { status: 'Pulling from large', id: 'v' });
    const [layer] = standin.images[0]?.layers ?? [];
    const id = layer?.digest.slice('sha256:'.length, 'sha256:'.length + 12);
    const own = lines.filter((line) => line.id === id);
    const steps = own.map(({ status }) => status).filter((status, i, all) => status !== all[i - 1]);
    assert.deepEqual(steps.slice(0, 1), ['Pulling fs layer']);
    assert.deepEqual(
      steps.filter((step) => step !== 'Waiting' && step !== 'Extracting'),
      ['Pulling fs layer', 'Downloading', 'Verifying Checksum', 'Download complete', 'Pull complete'],
    );
    const amounts = own.filter(({ status }) => status === 'Downloading').map((line) => line.progressDetail);
    assert.ok(amounts.length >= 5 && amounts.length <= tookMs / 100 + 3, `${amounts.length} lines`);
    for (const amount of amounts) assert.equal(amount?.total, layer?.sizeBytes);
    assert.equal(amounts.at(-1)?.current, layer?.sizeBytes);
    const counts = amounts.map((amount) => amount?.current ?? 0);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
  },
);

registryTest(
  'pulls of the same layers fetch them once, and go on when the first of them leaves',
  {
    ...{ ...plain, faults: [slow(3 * MIB)] },
    images: [{ repository: 'shared', tags: ['a', 'b', 'c'], layers: [large('one'), large('two')] }],
  },
  async (given) => {
    const { daemon, standin } = given;
    const [image] = standin.images as [BuiltStandinImage];
    const leaver = spawn('docker', ['pull', `${R}/shared:a`], {
      env: { ...PLAIN_ENV, ...daemon.clientEnv() },
      stdio: 'ignore',
    });
    const left = once(leaver, 'close');
    const stayers = ['b', 'c'].map((tag) => daemon.mustDocker(['pull', `${R}/shared:${tag}`]));
    await until(async () => (await partialBytes(given)) > MIB || undefined, { what: 'some bytes' });
    leaver.kill('SIGKILL');
    await left;
    for (const said of await Promise.all(stayers)) assert.match(said, /Status: Downloaded newer image/);
    const { entries } = await standin.ledger();
    for (const { digest, sizeBytes } of image.layers) {
      assert.equal(blobsOf(entries, digest).length, 1, 'one request for each layer');
      assert.equal(sentOf(entries, digest), sizeBytes);
    }
    await nothingIsBegun(given);
  },
);

registryTest(
  'a pull whose client goes away ends, and the next one goes on where it was',
  {
    ...{ ...plain, faults: [slow(MIB)] },
    images: [{ repository: 'left', tags: ['v'], layers: [large('one')] }],
  },
  async (given) => {
    const { daemon, standin } = given;
    const [layer] = (standin.images as [BuiltStandinImage])[0].layers;
    const client = spawn('docker', ['pull', `${R}/left:v`], {
      env: { ...PLAIN_ENV, ...daemon.clientEnv() },
      stdio: 'ignore',
    });
    await until(async () => (await partialBytes(given)) > MIB || undefined, { what: 'some bytes' });
    client.kill('SIGKILL');
    const plan = await until(
      async () => {
        const path = `/gantry/v1/images/plan-pull?reference=${encodeURIComponent(`${R}/left:v`)}`;
        const { json } = await daemon.api(path, { method: 'POST' });
        const { Layers, DownloadBytes } = json as {
          readonly Layers: readonly { readonly State: string; readonly HaveBytes: number }[];
          readonly DownloadBytes: number;
        };
        const [one] = Layers;
        return one?.State === 'partial' ? { have: one.HaveBytes, download: DownloadBytes } : undefined;
      },
      { what: 'a plan that knows what is here' },
    );
    assert.equal(plan.have + plan.download, layer?.sizeBytes);
    await standin.setFaults([]);
    assert.match(await daemon.mustDocker(['pull', `${R}/left:v`]), /Downloaded newer image/);
    const requests = blobsOf((await standin.ledger()).entries, layer?.digest ?? '');
    assert.equal(requests.length, 2);
    assert.match(requests[1]?.range ?? '', /^bytes=\d+-$/);
    const sent = requests.reduce((sum, entry) => sum + entry.sentBytes, 0);
    assert.ok(sent <= (layer?.sizeBytes ?? 0) + TAIL_BYTES, `${sent} bytes were sent`);
    await nothingIsBegun(given);
  },
);

registryTest(
  'a daemon that is killed or stopped in mid-pull goes on where it was; what is whole is not fetched again',
  {
    ...{ ...plain, faults: [slow(3 * MIB)] },
    images: [
      { repository: 'killed', tags: ['v'], layers: [smallLayers('k')[1] ?? [], large('one'), large('two')] },
    ],
  },
  async (given) => {
    const { daemon, standin } = given;
    const [image] = standin.images as [BuiltStandinImage];
    for (const [bytes, signal] of [
      [MIB, 'SIGKILL'],
      [4 * MIB, 'SIGTERM'],
    ] as const) {
      const lost = pull(daemon, `${R}/killed:v`).catch(() => null);
      await until(async () => (await partialBytes(given)) > bytes || undefined, { what: 'some bytes' });
      await daemon.restart(signal);
      await lost;
      assert.ok((await partialBytes(given)) >= bytes, `what has come is kept: ${signal}`);
    }
    await standin.setFaults([]);
    assert.match(await daemon.mustDocker(['pull', `${R}/killed:v`]), /Downloaded newer image/);
    assert.equal(await idOf(given, `${R}/killed:v`), image.id);
    const { entries } = await standin.ledger();
    for (const { digest, sizeBytes } of image.layers) {
      const requests = blobsOf(entries, digest);
      const sent = requests.reduce((sum, entry) => sum + entry.sentBytes, 0);
      const limit = sizeBytes + TAIL_BYTES * (requests.length - 1);
      assert.ok(sent <= limit, `${sent} of ${sizeBytes} bytes were sent in ${requests.length} answers`);
    }
    assert.equal(blobsOf(entries, image.layers[0]?.digest ?? '').length, 1, 'the small layer was whole');
    await nothingIsBegun(given);
  },
);

registryTest(
  'what an interrupted pull has brought goes with a prune',
  {
    ...{ ...plain, faults: [slow(MIB)] },
    images: [{ repository: 'pruned', tags: ['v'], layers: [smallLayers('p')[1] ?? [], large('one')] }],
  },
  async (given) => {
    const { daemon } = given;
    const lost = pull(daemon, `${R}/pruned:v`).catch(() => null);
    await until(async () => (await partialBytes(given)) > MIB || undefined, { what: 'some bytes' });
    await daemon.restart('SIGKILL');
    await lost;
    assert.ok((await partialBytes(given)) > MIB);
    await daemon.mustDocker(['image', 'prune', '--force']);
    await nothingIsBegun(given);
    assert.deepEqual(await readdir(`${daemon.dataRoot}/content/blobs/sha256`), []);
  },
);

registryTest(
  'a mirror that gives wrong bytes is left for the registry itself',
  {
    ...{ hosts: { [R]: [OPEN_REGISTRY], '127.0.0.1:5001': [OPEN_REGISTRY] }, tls: 'none' },
    images: [{ repository: 'mirrored', tags: ['v'], layers: [large('one')] }],
    faults: [{ host: '127.0.0.1:5001', path: '/blobs/', skip: 1, act: { kind: 'corrupt', at: MIB } }],
    daemon: { config: { 'registry-mirrors': ['http://127.0.0.1:5001'] } },
  },
  async (given) => {
    const { daemon, standin } = given;
    assert.equal((await pull(daemon, `${R}/mirrored:v`)).error, '');
    const [layer] = standin.images[0]?.layers ?? [];
    const asked = blobsOf((await standin.ledger()).entries, layer?.digest ?? '').map(({ host }) => host);
    assert.deepEqual(asked, ['127.0.0.1:5001', R]);
    await nothingIsBegun(given);
  },
);

registryTest(
  'pulls with the driver vfs, and a connection that is lost on the way',
  {
    ...{ ...plain, daemon: { args: ['--storage-driver', 'vfs'] } },
    images: [{ ...runnable('copied', ['v']), compression: 'zstd' }],
    faults: [
      { method: 'GET', path: '/blobs/', skip: 1, times: 1, act: { kind: 'reset-after', bytes: 300_000 } },
    ],
  },
  async ({ daemon, standin }) => {
    const { lines, error } = await pull(daemon, `${R}/copied:v`);
    assert.equal(error, '');
    const [layer] = standin.images[0]?.layers ?? [];
    const id = layer?.digest.slice('sha256:'.length, 'sha256:'.length + 12);
    const words = lines.flatMap((line) => (line.id === id ? [line.status] : []));
    assert.ok(words.includes('Retrying in 1 second'), words.join(', '));
    const name = `${R}/copied:v`;
    assert.equal(await daemon.mustDocker(['run', '--rm', name, 'cat', '/name']), 'copied');
    await daemon.mustDocker(['rmi', name]);
    await nothingIsBegun({ daemon });
  },
);

for (const kind of ['gantry', 'docker-registry'] as const)
  e2e(`pulls from ${kind}`, { images: [], skip: registryIsMissing(kind) }, async (daemon) => {
    const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
    await using registry = await startRegistry({ kind, address: R, enter });
    const name = `${registry.address}/team/bb:v`;
    await daemon.mustDocker(['import', '-c', 'CMD ["echo","hello"]', await imageArchive('rootfs'), name]);
    const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', name]);
    const pushed = /digest: (sha256:[0-9a-f]{64})/.exec(await daemon.mustDocker(['push', name]))?.[1] ?? '';
    await daemon.mustDocker(['rmi', '--force', id]);
    const run = await daemon.docker(['run', '--rm', name]);
    assert.equal(run.stdout, 'hello\n', run.stderr);
    assert.match(run.stderr, /: Pull complete\nDigest: /);
    assert.equal(await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', name]), id);
    await daemon.mustDocker(['rmi', name]);
    const precise = `${registry.address}/team/bb@${pushed}`;
    assert.match(await daemon.mustDocker(['pull', precise]), new RegExp(`Digest: ${pushed}`));
    const { json } = await daemon.api(`/distribution/${name}/json`);
    const { Descriptor, Platforms } = json as {
      readonly Descriptor: { readonly digest: string; readonly size: number };
      readonly Platforms: readonly { readonly os: string }[];
    };
    assert.equal(Descriptor.digest, pushed);
    assert.equal(Platforms[0]?.os, 'linux');
  });
