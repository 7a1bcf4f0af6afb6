import assert from 'node:assert/strict';
import { HERE } from '../../support/registry/content.ts';
import { type RegistryTest, registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';

const HOST = '127.0.0.1:5000';
const KINDS = (['docker', 'oci'] as const).flatMap((documents) =>
  (['gzip', 'zstd', 'none'] as const).map((compression) => ({ documents, compression })),
);
const subject = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'a'.repeat(64)}`,
  size: 7,
};

registryTest(
  'documents of both families, layers of three kinds',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [
      ...KINDS.map((kind) => {
        const tag = `${kind.documents}-${kind.compression}`;
        return { ...kind, repository: 'kinds', tags: [tag], layers: smallLayers(tag) };
      }),
      {
        ...{ documents: 'oci' as const, repository: 'signed', tags: ['v'], layers: smallLayers('signed') },
        manifestFields: { subject, annotations: { 'org.example.note': 'kept' } },
      },
    ],
  },
  async ({ daemon, standin }) => {
    const idOf = (name: string): Promise<string> =>
      daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', `${HOST}/${name}`]);
    for (const [index, { documents, compression }] of KINDS.entries()) {
      const name = `kinds:${documents}-${compression}`;
      await daemon.mustDocker(['pull', '-q', `${HOST}/${name}`]);
      assert.equal(await idOf(name), standin.images[index]?.id, name);
    }
    await daemon.mustDocker(['pull', '-q', `${HOST}/signed:v`]);
    await daemon.mustDocker(['tag', `${HOST}/signed:v`, `${HOST}/copied:v`]);
    const pushed = await daemon.mustDocker(['push', `${HOST}/copied:v`]);
    const signed = standin.images.at(-1);
    assert.match(pushed, new RegExp(`digest: ${signed?.digest} `), 'a kept manifest goes out byte for byte');
  },
);

/** `docker manifest …`, which speaks with the registry itself. */
async function manifest({ daemon }: RegistryTest, ...args: string[]): Promise<string> {
  const result = await daemon.besideDaemon(['docker', 'manifest', ...args]);
  assert.equal(result.exit, 0, `docker manifest ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

interface ListEntry {
  readonly digest: string;
  readonly platform: Readonly<Record<string, unknown>>;
}

/** What a list has: of one that is being made, or of the registry's. */
async function entriesOf(given: RegistryTest, ...args: string[]): Promise<readonly ListEntry[]> {
  const shown = JSON.parse(await manifest(given, 'inspect', '--insecure', ...args)) as {
    readonly manifests: readonly ListEntry[];
  };
  return shown.manifests.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

const named = (repository: string) => ({ repository, tags: ['v'], layers: smallLayers(repository) });

registryTest(
  'docker manifest adds to a list, and forgets it when it is pushed',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [named('team/one'), named('team/two')],
  },
  async (given) => {
    const { daemon, standin } = given;
    const [one, two, list] = [`${HOST}/team/one:v`, `${HOST}/team/two:v`, `${HOST}/team/list:1`];
    const create = (...args: string[]) => manifest(given, 'create', '--insecure', ...args);
    await create(list, one);
    await manifest(given, 'annotate', '--arch', 's390x', list, one);
    const again = await daemon.besideDaemon(['docker', 'manifest', 'create', '--insecure', list, two]);
    assert.equal(again.exit, 1);
    assert.match(again.stderr, /refusing to amend an existing manifest list with no --amend flag/);
    await create('--amend', list, two);
    const digests = standin.images.map(({ digest }) => digest).toSorted();
    const made = await entriesOf(given, list);
    assert.deepEqual(
      made.map(({ digest }) => digest),
      digests,
    );
    const architectureOf = (name: string, entries: readonly ListEntry[]): unknown => {
      const digest = standin.images.find(({ repository }) => repository === name)?.digest;
      return entries.find((entry) => entry.digest === digest)?.platform['architecture'];
    };
    assert.equal(architectureOf('team/one', made), 's390x', 'what was said before stays');
    await manifest(given, 'push', '--insecure', list);
    await create('--amend', list, two);
    assert.deepEqual(await entriesOf(given, list), made, 'without -p it is still there to be changed');
    await manifest(given, 'push', '--insecure', '-p', list);
    const removed = await daemon.besideDaemon(['docker', 'manifest', 'rm', list]);
    assert.match(removed.stderr, /No such manifest/i);
    assert.deepEqual(await entriesOf(given, list), made, 'now it is the one of the registry');
    for (const platform of ['linux/s390x', `linux/${HERE.architecture}`]) {
      await daemon.mustDocker(['pull', '-q', '--platform', platform, list]);
      const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', list]);
      const image = standin.images[platform === 'linux/s390x' ? 0 : 1];
      assert.equal(id, image?.id, platform);
    }
  },
);

registryTest(
  'what docker manifest annotates decides about pulls',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [named('team/one'), named('team/two')],
  },
  async (given) => {
    const { daemon, standin } = given;
    const [one, two, list] = [`${HOST}/team/one:v`, `${HOST}/team/two:v`, `${HOST}/team/list:1`];
    await manifest(given, 'create', '--insecure', list, one, two);
    const system = ['--os', 'linux', '--os-version', '1.2', '--os-features', 'f,g'];
    await manifest(given, 'annotate', ...system, list, one);
    await manifest(given, 'annotate', '--arch', 'arm', '--variant', 'v6', list, two);
    await manifest(given, 'push', '--insecure', '-p', list);
    const { json } = await daemon.api(`/distribution/${list}/json`);
    const { Platforms } = json as { readonly Platforms: readonly Readonly<Record<string, unknown>>[] };
    const { os, architecture } = HERE;
    const wanted = [
      { architecture, os, 'os.version': '1.2', 'os.features': ['f', 'g'] },
      { architecture: 'arm', os, variant: 'v6' },
    ];
    const sorted = (platforms: readonly object[]): unknown =>
      platforms.map((one) => JSON.stringify(one)).toSorted();
    assert.deepEqual(sorted(Platforms), sorted(wanted));
    const entries = await entriesOf(given, list);
    assert.deepEqual(entries.find(({ digest }) => digest === standin.images[0]?.digest)?.platform, wanted[0]);
    const pulls = async (platform: string): Promise<string> => {
      const { exit, stderr } = await daemon.docker(['pull', '-q', '--platform', platform, list]);
      if (exit !== 0) return stderr.trim();
      return daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', list]);
    };
    assert.equal(await pulls('linux/arm/v7'), standin.images[1]?.id);
    assert.equal(await pulls('linux/arm/v6'), standin.images[1]?.id);
    for (const platform of ['linux/arm/v5', `linux/${architecture}`, `linux(1.2+f)/${architecture}`])
      assert.equal(
        await pulls(platform),
        `no matching manifest for ${platform} in the manifest list entries`,
      );
    assert.equal(await pulls(`linux(+g+f)/${architecture}`), standin.images[0]?.id);
  },
);

registryTest(
  'docker manifest makes, changes, shows and pushes a list',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [{ repository: 'team/one', tags: ['v'], layers: smallLayers('one') }],
  },
  async (given) => {
    const { daemon, standin } = given;
    const [one, list] = [`${HOST}/team/one:v`, `${HOST}/team/list:1`];
    await manifest(given, 'create', '--insecure', list, one);
    await manifest(given, 'annotate', '--arch', 's390x', list, one);
    assert.match(await manifest(given, 'inspect', list), /"architecture": "s390x"/);
    const digest = (await manifest(given, 'push', '--insecure', list)).trim().split('\n').at(-1);
    const shown = JSON.parse(await manifest(given, 'inspect', '--insecure', list)) as {
      manifests: { digest: string }[];
    };
    assert.equal(shown.manifests[0]?.digest, standin.images[0]?.digest);
    const pulled = await daemon.mustDocker(['pull', '--platform', 'linux/s390x', list]);
    assert.match(pulled, new RegExp(`Digest: ${digest}`));
    await manifest(given, 'create', '--insecure', `${HOST}/team/gone:1`, one);
    await manifest(given, 'rm', `${HOST}/team/gone:1`);
  },
);
