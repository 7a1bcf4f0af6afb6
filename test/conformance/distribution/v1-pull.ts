import { randomContent } from './content.ts';
import { errorCodes, expect, Failure } from './verdicts.ts';
import {
  deleteBlob,
  deleteManifest,
  pushBlob,
  pushManifest,
  runSpecs,
  smallImage,
  type SmallImage,
  type Specs,
  type Workflow,
} from './v1-context.ts';

const TAG = 'tagtest0';

function setUp(workflow: Workflow, images: readonly [SmallImage, SmallImage]): Specs {
  const [first, second] = images;
  return [
    ['Populate registry with test blob', () => pushBlob(workflow, first.config)],
    ['Populate registry with test blob', () => pushBlob(workflow, second.config)],
    [
      'Populate registry with test layer',
      async () => {
        for (const { layer } of images) await pushBlob(workflow, layer);
      },
    ],
    ['Populate registry with test manifest', () => pushManifest(workflow, first.manifest, TAG)],
    ['Populate registry with test manifest', () => pushManifest(workflow, second.manifest)],
    ['Get tag name from environment', async () => {}],
  ];
}

function blobs({ registry, repo }: Workflow, { config }: SmallImage): Specs {
  const at = (digest: string): string => `/v2/${repo}/blobs/${digest}`;
  const missing = randomContent().digest;
  const found = async (method: string): Promise<void> => {
    const answer = expect(await registry.ask(method, at(config.digest)), 200);
    if (method === 'GET' && !answer.body.equals(config.bytes)) throw new Failure('other bytes');
  };
  const lost = async (method: string): Promise<void> =>
    void expect(await registry.ask(method, at(missing)), 404);
  return [
    ['HEAD request to nonexistent blob should result in 404 response', () => lost('HEAD')],
    ['HEAD request to existing blob should yield 200', () => found('HEAD')],
    ['GET nonexistent blob should result in 404 response', () => lost('GET')],
    ['GET request to existing blob URL should yield 200', () => found('GET')],
  ];
}

function manifests({ registry, repo }: Workflow, images: readonly [SmallImage, SmallImage]): Specs {
  const ask = async (method: string, reference: string, status: number): Promise<void> => {
    const headers = { accept: images[0].manifest.mediaType };
    const answer = expect(
      await registry.ask(method, `/v2/${repo}/manifests/${reference}`, { headers }),
      status,
    );
    const wanted = images.find(({ manifest }) => manifest.digest === answer.headers['docker-content-digest']);
    if (status === 200 && wanted === undefined) throw new Failure('no Docker-Content-Digest, or another one');
    if (method === 'GET' && wanted !== undefined && !answer.body.equals(wanted.manifest.bytes))
      throw new Failure('other bytes');
  };
  const specs = (method: string, missing: string): Specs => [
    [missing, () => ask(method, 'not-here', 404)],
    ...images.map(
      ({ manifest }, index) =>
        [
          `${method} request to manifest[${index}] path (digest) should yield 200 response`,
          () => ask(method, manifest.digest, 200),
        ] as const,
    ),
    [`${method} request to manifest path (tag) should yield 200 response`, () => ask(method, TAG, 200)],
  ];
  return [
    ...specs('HEAD', 'HEAD request to nonexistent manifest should return 404'),
    ...specs('GET', 'GET nonexistent manifest should return 404'),
  ];
}

function tearDown(workflow: Workflow, [first, second]: readonly [SmallImage, SmallImage]): Specs {
  const both: Specs = [
    ['Delete manifest[0] created in setup', () => deleteManifest(workflow, first.manifest.digest)],
    ['Delete manifest[1] created in setup', () => deleteManifest(workflow, second.manifest.digest)],
  ];
  return [
    ...both,
    ['Delete config[0] blob created in setup', () => deleteBlob(workflow, first.config)],
    ['Delete config[1] blob created in setup', () => deleteBlob(workflow, second.config)],
    ['Delete layer blob created in setup', () => deleteBlob(workflow, first.layer)],
    ...both,
  ];
}

export async function pullWorkflow(workflow: Workflow): Promise<void> {
  const images = [smallImage(), smallImage()] as const;
  const { registry, repo } = workflow;
  await runSpecs(workflow, 'Pull / Setup', setUp(workflow, images));
  await runSpecs(workflow, 'Pull / Pull blobs', blobs(workflow, images[0]));
  await runSpecs(workflow, 'Pull / Pull manifests', manifests(workflow, images));
  await runSpecs(workflow, 'Pull / Error codes', [
    [
      '400 response body should contain OCI-conforming JSON message',
      async () => {
        const bad = await registry.ask('GET', `/v2/${repo}/manifests/sha256:totallywrong`);
        if (expect(bad, 400, 404).status === 400) errorCodes(bad);
      },
    ],
  ]);
  await runSpecs(workflow, 'Pull / Teardown', tearDown(workflow, images));
}
