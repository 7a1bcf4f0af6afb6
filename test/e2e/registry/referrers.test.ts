/** What points at an image is found again wherever it was pushed to. */
import assert from 'node:assert/strict';
import type { TestDaemon } from '../../support/daemon.ts';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { type RealKind, registryIsMissing, startRegistry } from '../../support/registry/real.ts';

const FROM = '127.0.0.1:5000';
const TO = '127.0.0.1:5001';
const TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const subject = { mediaType: TYPE, digest: `sha256:${'a'.repeat(64)}`, size: 7 };
const fields = (n: string): object => ({ subject, annotations: { 'org.example.note': n } });

interface List {
  readonly mediaType: string;
  readonly manifests: readonly { readonly digest: string; readonly annotations: Record<string, string> }[];
}

async function listAt(daemon: TestDaemon, path: string): Promise<List | null> {
  const url = `http://${TO}/v2/team/app/${path}`;
  const { stdout } = await daemon.inNetwork([
    'curl',
    '-s',
    '-w',
    '\n%{http_code}',
    '-H',
    `Accept: ${INDEX}`,
    url,
  ]);
  const [body = '', status] = stdout.split(/\n(?=\d+$)/);
  return status === '200' ? (JSON.parse(body) as List) : null;
}

for (const kind of ['gantry', 'docker-registry'] as readonly RealKind[]) {
  registryTest(
    `a manifest with a subject goes out byte for byte and is listed: ${kind}`,
    {
      ...{ hosts: { [FROM]: [OPEN_REGISTRY] }, tls: 'none', skip: registryIsMissing(kind) },
      images: ['one', 'two'].map((tag) => ({
        ...{ documents: 'oci' as const, repository: 'signed', tags: [tag], layers: smallLayers(tag) },
        manifestFields: fields(tag) as Readonly<Record<string, unknown>>,
      })),
    },
    async ({ daemon, standin }) => {
      const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
      await using _registry = await startRegistry({ kind, address: TO, enter });
      const digests = standin.images.map(({ digest }) => digest);
      for (const tag of ['one', 'two']) {
        await daemon.mustDocker(['pull', '-q', `${FROM}/signed:${tag}`]);
        await daemon.mustDocker(['tag', `${FROM}/signed:${tag}`, `${TO}/team/app:${tag}`]);
      }
      const pushed = await daemon.mustDocker(['push', '-a', `${TO}/team/app`]);
      for (const digest of digests) assert.ok(pushed.includes(`digest: ${digest} `), pushed);
      await daemon.mustDocker(['push', '-q', `${TO}/team/app:one`]);
      const byTag = await listAt(daemon, `manifests/sha256-${'a'.repeat(64)}`);
      const byList = await listAt(daemon, `referrers/${subject.digest}`);
      const list = kind === 'gantry' ? byList : byTag;
      assert.equal(kind === 'gantry' ? byTag : byList, null, 'one of the two ways, not both');
      assert.equal(list?.mediaType, INDEX);
      const found = new Map(list?.manifests.map((one) => [one.digest, one.annotations['org.example.note']]));
      assert.deepEqual([...found.keys()].toSorted(), digests.toSorted());
      assert.deepEqual(new Set(found.values()), new Set(['one', 'two']));
    },
  );
}
