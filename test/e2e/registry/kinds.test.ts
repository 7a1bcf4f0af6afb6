import assert from 'node:assert/strict';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
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

registryTest(
  'docker manifest makes, changes, shows and pushes a list',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [{ repository: 'team/one', tags: ['v'], layers: smallLayers('one') }],
  },
  async ({ daemon, standin }) => {
    const manifest = async (...args: string[]): Promise<string> => {
      const result = await daemon.besideDaemon(['docker', 'manifest', ...args]);
      assert.equal(result.exit, 0, `docker manifest ${args.join(' ')}: ${result.stderr}`);
      return result.stdout;
    };
    const [one, list] = [`${HOST}/team/one:v`, `${HOST}/team/list:1`];
    await manifest('create', '--insecure', list, one);
    await manifest('annotate', '--arch', 's390x', list, one);
    assert.match(await manifest('inspect', list), /"architecture": "s390x"/);
    const digest = (await manifest('push', '--insecure', list)).trim().split('\n').at(-1);
    const shown = JSON.parse(await manifest('inspect', '--insecure', list)) as {
      manifests: { digest: string }[];
    };
    assert.equal(shown.manifests[0]?.digest, standin.images[0]?.digest);
    const pulled = await daemon.mustDocker(['pull', '--platform', 'linux/s390x', list]);
    assert.match(pulled, new RegExp(`Digest: ${digest}`));
    await manifest('create', '--insecure', `${HOST}/team/gone:1`, one);
    await manifest('rm', `${HOST}/team/gone:1`);
  },
);
