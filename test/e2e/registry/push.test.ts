import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { TestDaemon } from '../../support/daemon.ts';
import { e2e } from '../../support/e2e.ts';
import { imageArchive } from '../../support/images.ts';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { formOf } from '../../support/registry/forms.ts';
import { registryIsMissing, startRegistry } from '../../support/registry/real.ts';

const HOST = '127.0.0.1:5000';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

interface Line {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly aux?: { readonly Tag: string; readonly Digest: string; readonly Size: number };
}

async function pushLines(daemon: TestDaemon, name: string, query: string): Promise<readonly Line[]> {
  const answer = await daemon.api(`/v1.51/images/${name}/push?${query}`, { method: 'POST' });
  assert.equal(answer.status, 200, answer.body.toString());
  const text = answer.body.toString();
  assert.ok(text.endsWith('\r\n'));
  return text
    .trimEnd()
    .split('\r\n')
    .map((line) => JSON.parse(line) as Line);
}

/** Their words in order, without the amounts and with one name for every layer and digest. */
function story(lines: readonly Line[]): string[] {
  return lines
    .filter(({ status }) => status !== 'Pushing')
    .map(({ status = '', id, error, aux }) => {
      if (error !== undefined) return `error ${error}`;
      if (aux !== undefined) return `aux ${aux.Tag}`;
      return `${id === undefined ? '' : 'L '}${status.replace(/sha256:[0-9a-f]{64}/, 'D')}`;
    });
}

async function manifestAt(daemon: TestDaemon, repository: string, reference: string): Promise<string> {
  const accept = `Accept: ${DOCKER_MANIFEST}, ${OCI_MANIFEST}`;
  const url = `http://${HOST}/v2/${repository}/manifests/${reference}`;
  return (await daemon.inNetwork(['curl', '-sf', '-H', accept, url])).stdout;
}

/** An image of one layer that nobody has compressed. */
async function importBusybox(daemon: TestDaemon, name: string): Promise<void> {
  const rootfs = await imageArchive('rootfs');
  await daemon.mustDocker(['import', '-c', 'CMD ["sh"]', rootfs, name]);
}

for (const kind of ['gantry', 'docker-registry'] as const) {
  e2e(`pushes to ${kind}`, { images: [], skip: registryIsMissing(kind) }, async (daemon) => {
    const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
    await using registry = await startRegistry({ kind, address: HOST, enter });
    assert.equal(registry.address, HOST);
    await importBusybox(daemon, `${HOST}/team/bb:v1`);

    const first = await pushLines(daemon, `${HOST}/team/bb`, 'tag=v1');
    const head = `The push refers to repository [${HOST}/team/bb]`;
    const tail = ['v1: digest: D size: 527', 'aux v1'];
    assert.deepEqual(story(first), [head, 'L Preparing', 'L Pushed', ...tail]);
    const digest = first.at(-1)?.aux?.Digest ?? '';
    const manifest = await manifestAt(daemon, 'team/bb', 'v1');
    assert.equal(`sha256:${createHash('sha256').update(manifest).digest('hex')}`, digest);
    assert.match(manifest, /^\{\n {3}"schemaVersion": 2,\n {3}"mediaType": "application\/vnd\.docker\./);
    const named = await daemon.mustDocker(['inspect', '-f', '{{json .RepoDigests}}', `${HOST}/team/bb:v1`]);
    assert.equal(named, `["${HOST}/team/bb@${digest}"]`);

    const again = await pushLines(daemon, `${HOST}/team/bb`, 'tag=v1');
    assert.deepEqual(story(again), [head, 'L Preparing', 'L Layer already exists', ...tail]);
    assert.equal(again.at(-1)?.aux?.Digest, digest, 'the same bytes are compressed the same way');

    await daemon.mustDocker(['tag', `${HOST}/team/bb:v1`, `${HOST}/team/bb:v2`]);
    const all = story(await pushLines(daemon, `${HOST}/team/bb`, ''));
    const each = ['L Preparing', 'L Layer already exists'];
    const v2 = ['v2: digest: D size: 527', 'aux v2'];
    assert.deepEqual(all, [head, ...each, ...tail, ...each, ...v2]);

    await daemon.mustDocker(['tag', `${HOST}/team/bb:v1`, `${HOST}/other/bb:v1`]);
    const mounted = story(await pushLines(daemon, `${HOST}/other/bb`, 'tag=v1'));
    assert.equal(mounted[2], 'L Mounted from team/bb');

    await daemon.mustDocker(['rmi', '-f', `${HOST}/team/bb:v1`, `${HOST}/team/bb:v2`, `${HOST}/other/bb:v1`]);
    await daemon.mustDocker(['pull', `${HOST}/other/bb:v1`]);
    assert.equal(await daemon.mustDocker(['run', '--rm', `${HOST}/other/bb:v1`, 'echo', 'ran']), 'ran');
  });
}

e2e('what cannot be pushed, in the words that clients know', { images: [] }, async (daemon) => {
  await importBusybox(daemon, `${HOST}/team/bb:v1`);
  const at = (name: string): string => `The push refers to repository [${name}]`;
  const refused = async (name: string, query: string): Promise<string[]> =>
    story(await pushLines(daemon, name, query));
  assert.deepEqual(await refused('127.0.0.1:1/nope', 'tag=1'), [
    at('127.0.0.1:1/nope'),
    'error An image does not exist locally with the tag: 127.0.0.1:1/nope',
  ]);
  assert.deepEqual(await refused('nope', 'tag=1'), [
    at('docker.io/library/nope'),
    'error An image does not exist locally with the tag: nope',
  ]);
  assert.deepEqual(await refused(`${HOST}/team/bb`, 'tag=nope'), [
    at(`${HOST}/team/bb`),
    `error tag does not exist: ${HOST}/team/bb:nope`,
  ]);
  assert.deepEqual(await refused(`${HOST}/team/bb`, `tag=sha256:${'a'.repeat(64)}`), [
    at(`${HOST}/team/bb`),
    'error cannot push a digest reference',
  ]);
  // Nobody listens there.
  assert.deepEqual(await refused(`${HOST}/team/bb`, 'tag=v1'), [
    at(`${HOST}/team/bb`),
    `error Get "http://${HOST}/v2/": dial tcp ${HOST}: connect: connection refused`,
  ]);
  const foreign = await daemon.docker(['push', '--platform', 'linux/s390x', `${HOST}/team/bb:v1`]);
  assert.equal(foreign.exit, 1);
  assert.match(foreign.stderr, /does not match the specified platform/);
});

registryTest(
  'an image goes on with the manifest that it came with',
  {
    form: 'plain',
    images: [
      {
        repository: 'team/kept',
        tags: ['v'],
        layers: smallLayers('kept'),
        documents: 'oci',
        manifestFields: { annotations: { 'org.example.note': 'stays' } },
      },
    ],
  },
  async ({ daemon, standin }) => {
    const [built] = standin.images;
    const host = formOf('plain').domain;
    const source = `${host}/team/kept:v`;
    await daemon.mustDocker(['pull', source]);
    await daemon.mustDocker(['tag', source, `${host}/other/kept:w`]);
    const lines = await pushLines(daemon, `${host}/other/kept`, 'tag=w');
    assert.equal(lines.at(-1)?.aux?.Digest, built?.manifestDigest);
    const mounts = story(lines).filter((line) => line === 'L Mounted from team/kept');
    assert.equal(mounts.length, 2, story(lines).join('\n'));
  },
);
