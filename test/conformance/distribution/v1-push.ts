import { configContent, type Content, imageOf, randomContent } from './content.ts';
import { type Answer, locationOf, withQuery } from './http.ts';
import { expect, Failure, same, Skip } from './verdicts.ts';
import { deleteBlob, deleteManifest, pushBlob, runSpecs, type Specs, type Workflow } from './v1-context.ts';

const EMPTY = Buffer.alloc(0);

async function open({ registry, repo }: Workflow): Promise<string> {
  const answer = await registry.ask('POST', `/v2/${repo}/blobs/uploads/`, { body: EMPTY });
  return locationOf(expect(answer, 202));
}

function put({ registry }: Workflow, location: string, { digest, bytes }: Content): Promise<Answer> {
  return registry.ask('PUT', withQuery(location, { digest }), { body: bytes });
}

function streamed(workflow: Workflow): Specs {
  const blob = randomContent();
  let location = '';
  return [
    [
      'PATCH request with blob in body should yield 202 response',
      async () => {
        const body = [blob.bytes.subarray(0, 100), blob.bytes.subarray(100)];
        location = locationOf(
          expect(await workflow.registry.ask('PATCH', await open(workflow), { body }), 202),
        );
      },
    ],
    [
      'PUT request to session URL with digest should yield 201 response',
      async () => {
        const answer = await put(workflow, location, { digest: blob.digest, bytes: EMPTY });
        locationOf(expect(answer, 201));
      },
    ],
  ];
}

function monolithic(workflow: Workflow, { config, layer }: { config: Content; layer: Content }): Specs {
  const { registry, repo } = workflow;
  const get = ({ digest }: Content): Promise<Answer> => registry.ask('GET', `/v2/${repo}/blobs/${digest}`);
  const posted = randomContent();
  let [postStatus, location] = [0, ''];
  return [
    ['GET nonexistent blob should result in 404 response', async () => void expect(await get(posted), 404)],
    [
      'POST request with digest and blob should yield a 201 or 202',
      async () => {
        const path = withQuery(`/v2/${repo}/blobs/uploads/`, { digest: posted.digest });
        postStatus = expect(await registry.ask('POST', path, { body: posted.bytes }), 201, 202).status;
      },
    ],
    [
      'GET request to blob URL from prior request should yield 200 or 404 based on response code',
      async () => void expect(await get(posted), postStatus === 201 ? 200 : 404),
    ],
    ['POST request should yield a session ID', async () => void (location = await open(workflow))],
    [
      'PUT upload of a blob should yield a 201 Response',
      async () => void expect(await put(workflow, location, config), 201),
    ],
    [
      'GET request to existing blob should yield 200 response',
      async () => {
        if (!expect(await get(config), 200).body.equals(config.bytes)) throw new Failure('other bytes');
      },
    ],
    ['PUT upload of a layer blob should yield a 201 Response', () => pushBlob(workflow, layer)],
    [
      'GET request to existing layer should yield 200 response',
      async () => void expect(await get(layer), 200),
    ],
  ];
}

function chunked(workflow: Workflow): Specs {
  const { registry } = workflow;
  const blob = randomContent(2000);
  const chunk = (start: number, end: number): { headers: Record<string, string>; body: Buffer } => ({
    headers: { 'content-range': `${start}-${end}`, 'content-type': 'application/octet-stream' },
    body: blob.bytes.subarray(start, end + 1),
  });
  let location = '';
  return [
    [
      'Out-of-order blob upload should return 416',
      async () => void expect(await registry.ask('PATCH', await open(workflow), chunk(1000, 1999)), 416),
    ],
    [
      'PATCH request with first chunk should return 202',
      async () => {
        const answer = expect(await registry.ask('PATCH', await open(workflow), chunk(0, 999)), 202);
        same(answer.headers.range, '0-999', 'Range');
        location = locationOf(answer);
      },
    ],
    [
      'Retry previous blob chunk should return 416',
      async () => void expect(await registry.ask('PATCH', location, chunk(0, 999)), 416),
    ],
    [
      'Get on stale blob upload should return 204 with a range and location',
      async () => {
        const answer = expect(await registry.ask('GET', location), 204);
        same(answer.headers.range, '0-999', 'Range');
        location = locationOf(answer);
      },
    ],
    [
      'PATCH request with second chunk should return 202',
      async () => {
        const answer = expect(await registry.ask('PATCH', location, chunk(1000, 1999)), 202);
        same(answer.headers.range, '0-1999', 'Range');
        location = locationOf(answer);
      },
    ],
    [
      'PUT request with digest should return 201',
      async () => void expect(await put(workflow, location, { digest: blob.digest, bytes: EMPTY }), 201),
    ],
  ];
}

function mounted(workflow: Workflow, { layer }: { layer: Content }): Specs {
  const { registry, repo } = workflow;
  const other = `${repo}/other`;
  const mount = (query: Record<string, string>, into = other): Promise<Answer> =>
    registry.ask('POST', withQuery(`/v2/${into}/blobs/uploads/`, query), { body: EMPTY });
  let location = '';
  let isAutomatic = false;
  return [
    [
      'Cross-mounting of a blob without the from argument should yield session id',
      async () => void expect(await mount({ mount: randomContent().digest }), 202),
    ],
    [
      "POST request to mount another repository's blob should return 201 or 202",
      async () => {
        const answer = expect(await mount({ mount: layer.digest, from: repo }), 201, 202);
        location = answer.status === 201 ? `/v2/${other}/blobs/${layer.digest}` : '';
        if (answer.status === 202) expect(await put(workflow, locationOf(answer), layer), 201);
      },
    ],
    [
      'GET request to test digest within cross-mount namespace should return 200',
      async () => {
        const path = location === '' ? `/v2/${other}/blobs/${layer.digest}` : location;
        if (!expect(await registry.ask('GET', path), 200).body.equals(layer.bytes))
          throw new Failure('other bytes');
      },
    ],
    [
      'Cross-mounting of nonexistent blob should yield session id',
      async () => void expect(await mount({ mount: randomContent().digest, from: repo }), 202),
    ],
    [
      'Cross-mounting without from, and automatic content discovery enabled should return a 201',
      async () => {
        const { status } = expect(await mount({ mount: layer.digest }, `${repo}/third`), 201, 202);
        isAutomatic = status === 201;
        if (!isAutomatic) throw new Skip('no automatic content discovery');
      },
    ],
    [
      'Cross-mounting without from, and automatic content discovery disabled should return a 202',
      async () => {
        if (isAutomatic) throw new Skip('automatic content discovery');
        expect(await mount({ mount: layer.digest }, `${repo}/fourth`), 202);
      },
    ],
  ];
}

export async function pushWorkflow(workflow: Workflow): Promise<void> {
  const { registry, repo } = workflow;
  const [config, layer] = [configContent(), randomContent()];
  const [manifest, bare] = [imageOf(config, [layer]), imageOf(config, [])];
  const send = (content: typeof manifest, reference: string): Promise<Answer> => {
    const headers = { 'content-type': content.mediaType };
    return registry.ask('PUT', `/v2/${repo}/manifests/${reference}`, { headers, body: content.bytes });
  };
  const at = `/v2/${repo}/manifests/`;
  await runSpecs(workflow, 'Push / Blob Upload Streamed', streamed(workflow));
  await runSpecs(workflow, 'Push / Blob Upload Monolithic', monolithic(workflow, { config, layer }));
  await runSpecs(workflow, 'Push / Blob Upload Chunked', chunked(workflow));
  await runSpecs(workflow, 'Push / Cross-Repository Blob Mount', mounted(workflow, { layer }));
  await runSpecs(workflow, 'Push / Manifest Upload', [
    [
      'GET nonexistent manifest should return 404',
      async () => void expect(await registry.ask('GET', `${at}nothing`), 404),
    ],
    [
      'PUT should accept a manifest upload',
      async () => void locationOf(expect(await send(manifest, 'one'), 201)),
    ],
    [
      'Registry should accept a manifest upload with no layers',
      async () => void locationOf(expect(await send(bare, 'bare'), 201)),
    ],
    [
      'GET request to manifest URL (digest) should yield 200 response',
      async () => {
        const headers = { accept: manifest.mediaType };
        const answer = expect(await registry.ask('GET', at + manifest.digest, { headers }), 200);
        if (!answer.body.equals(manifest.bytes)) throw new Failure('other bytes');
      },
    ],
  ]);
  const remove = async (): Promise<void> => {
    for (const { digest } of [manifest, bare]) await deleteManifest(workflow, digest);
  };
  await runSpecs(workflow, 'Push / Teardown', [
    ['Delete manifest created in tests', remove],
    ['Delete config blob created in tests', () => deleteBlob(workflow, config)],
    ['Delete layer blob created in setup', () => deleteBlob(workflow, layer)],
    ['Delete manifest created in tests', remove],
  ]);
}
