import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { tarOf } from '../../../tools/set-up/tar.ts';
import {
  assertCredentialsStay,
  nothingIsBegun,
  pull,
  registryAuth,
  type RegistryTest,
  registryTest,
  storedIn,
} from '../../support/registry/fixture.ts';
import { type BuiltStandinImage, digestOf, MEDIA } from '../../support/registry/content.ts';
import {
  type Fault,
  type FaultAct,
  type LedgerEntry,
  OPEN_REGISTRY,
  type RegistryRole,
  type Role,
} from '../../support/registry/plan.ts';

const HOST = '127.0.0.1:5000';
const ELSEWHERE = '127.0.0.1:5001';
const LAYER_BYTES = 3_000_000;
/** Sent twice at most, after a connection broke: what was on its way. */
const TAIL_BYTES = 1 << 20;

const HOSTS: Readonly<Record<string, readonly Role[]>> = {
  [HOST]: [OPEN_REGISTRY],
  [ELSEWHERE]: [{ role: 'blobs' }],
};

interface Case {
  readonly name: string;
  /** Where the fault strikes: the manifest, the one layer, or the configuration. */
  readonly at: 'manifest' | 'layer' | 'config';
  readonly acts: readonly (Pick<Fault, 'times' | 'skip' | 'method'> & { readonly act: FaultAct })[];
  /** Nothing: it ends well. */
  readonly error?: RegExp;
  /** All cases run at once, over a few connections: one waits for others that stall. */
  readonly withinMs: number;
  /** No byte of the layer is sent a second time but the last ones before the break. */
  readonly isResumed?: boolean;
  /**
   * Of one that fails. Without it: no blob, no tree, no partial archive, no record of the pull. `begun`: the
   * registry may do better next time, so documents, the record and what came of the archive stay; no tree.
   */
  readonly leaves?: 'begun';
  /** At least so long between a refusal and the next try, by the registry's clock. */
  readonly pausesMs?: number;
}

const once = (act: FaultAct): Case['acts'] => [{ act, times: 1 }];
const always = (act: FaultAct): Case['acts'] => [{ act }];
const status = (code: number, headers: Record<string, string> = {}, body = ''): FaultAct => ({
  ...{ kind: 'status', status: code, headers, body },
});
const errors = (code: string, message: string): string =>
  JSON.stringify({ errors: [{ code, message, detail: { a: 1 } }] });

const VERIFICATION = /filesystem layer verification failed for digest sha256:[0-9a-f]{64}/;
const OTHER_SIZE = /the blob has \d+ bytes, the registry answers with \d+$/;
const LARGE_MANIFEST = /the manifest is larger than 4194304 bytes$/;
const JSON_TYPE = { 'content-type': 'application/json' };

const CASES: readonly Case[] = [
  {
    name: 'stalled-manifest',
    at: 'manifest',
    acts: once({ kind: 'stall-before-headers' }),
    withinMs: 100_000,
  },
  { name: 'stalled-headers', at: 'layer', acts: once({ kind: 'stall-before-headers' }), withinMs: 100_000 },
  {
    ...{ name: 'stalled', at: 'layer', acts: once({ kind: 'stall-after', bytes: 1_500_000 }) },
    ...{ withinMs: 100_000, isResumed: true },
  },
  {
    ...{ name: 'reset', at: 'layer', acts: once({ kind: 'reset-after', bytes: 2_000_000 }) },
    ...{ withinMs: 60_000, isResumed: true },
  },
  {
    ...{
      name: 'reset-thrice',
      at: 'layer',
      acts: [{ act: { kind: 'reset-after', bytes: 700_000 }, times: 3 }],
    },
    ...{ withinMs: 60_000, isResumed: true },
  },
  {
    ...{ name: 'short', at: 'layer', acts: once({ kind: 'short', bytes: 1_000_000 }) },
    ...{ withinMs: 60_000, isResumed: true },
  },
  {
    ...{ name: 'shorter', at: 'layer', acts: once({ kind: 'shorter', bytes: 1_000_000 }) },
    ...{ withinMs: 60_000, error: OTHER_SIZE, leaves: 'begun' },
  },
  {
    ...{ name: 'no-range', at: 'layer', withinMs: 60_000 },
    acts: [{ act: { kind: 'reset-after', bytes: 2_000_000 }, times: 1 }, { act: { kind: 'no-range' } }],
  },
  {
    ...{ name: 'range-refused', at: 'layer', withinMs: 60_000 },
    acts: [
      { act: { kind: 'reset-after', bytes: 2_000_000 }, times: 1 },
      { act: status(416), times: 1 },
    ],
  },
  { name: 'slow', at: 'layer', acts: always({ kind: 'slow', bytesPerSecond: 1_000_000 }), withinMs: 60_000 },
  {
    ...{ name: 'long', at: 'layer', acts: always({ kind: 'long', bytes: 5000 }), withinMs: 60_000 },
    ...{ error: OTHER_SIZE, leaves: 'begun' },
  },
  {
    ...{ name: 'corrupt', at: 'layer', acts: always({ kind: 'corrupt', at: 1_000_000 }) },
    ...{ error: VERIFICATION, withinMs: 60_000 },
  },
  {
    ...{ name: 'endless-layer', at: 'layer', acts: always({ kind: 'endless' }) },
    ...{ error: /the blob has \d+ bytes, the registry sends more$/, withinMs: 60_000, leaves: 'begun' },
  },
  {
    ...{ name: 'endless-manifest', at: 'manifest', withinMs: 60_000, error: LARGE_MANIFEST },
    acts: always({ kind: 'endless', headers: { 'content-type': MEDIA.docker.manifest } }),
  },
  {
    ...{
      name: 'unauthorized-forever',
      at: 'manifest',
      withinMs: 60_000,
      error: /unauthorized|no basic auth/,
    },
    acts: always(
      status(401, { 'www-authenticate': 'Basic realm="again"', ...JSON_TYPE }, errors('UNAUTHORIZED', 'no')),
    ),
  },
  {
    ...{ name: 'too-many', at: 'manifest', withinMs: 60_000, pausesMs: 1000 },
    acts: [{ act: status(429, { 'retry-after': '1' }), times: 2 }],
  },
  {
    ...{ name: 'unavailable', at: 'layer', withinMs: 60_000, pausesMs: 1000 },
    acts: [{ act: status(503, { 'retry-after': '1' }), times: 2 }],
  },
  {
    ...{ name: 'unavailable-forever', at: 'manifest', acts: always(status(503)), withinMs: 60_000 },
    error: /received unexpected HTTP status: 503 Service Unavailable/,
  },
  {
    name: 'layer-missing',
    at: 'layer',
    acts: always(status(404)),
    error: /^unknown blob$/,
    withinMs: 60_000,
  },
  {
    ...{ name: 'config-missing', at: 'config', withinMs: 60_000, error: /error pulling image configuration/ },
    acts: always(status(404, JSON_TYPE, errors('BLOB_UNKNOWN', 'blob unknown to registry'))),
  },
  {
    ...{ name: 'config-corrupt', at: 'config', acts: always({ kind: 'corrupt', at: 5 }), withinMs: 60_000 },
    error: /image config verification failed for digest sha256:/,
  },
  {
    ...{ name: 'redirect-loop', at: 'layer', withinMs: 60_000, error: /redirect/, leaves: 'begun' },
    acts: always({ kind: 'redirect', to: '?again' }),
  },
  {
    ...{ name: 'no-content-type', at: 'manifest', withinMs: 60_000, error: /Content-Type|media type/ },
    acts: always({ kind: 'headers', headers: { 'content-type': '' } }),
  },
  {
    ...{ name: 'other-content-type', at: 'manifest', withinMs: 60_000, error: /expected|media type/ },
    acts: always({ kind: 'headers', headers: { 'content-type': MEDIA.oci.index } }),
  },
  {
    name: 'garbage',
    at: 'manifest',
    withinMs: 60_000,
    error: /manifest verification failed for digest sha256:[0-9a-f]{64}$/,
    acts: always(bodyOf(Buffer.from('{nope'))),
  },
  {
    ...{ name: 'huge-manifest', at: 'manifest', withinMs: 60_000, error: LARGE_MANIFEST },
    acts: always(
      bodyOf(Buffer.concat([Buffer.from('{"x":"'), Buffer.alloc(8 << 20, 0x79), Buffer.from('"}')])),
    ),
  },
  { name: 'closed', at: 'manifest', acts: once({ kind: 'close' }), withinMs: 60_000 },
];

function bodyOf(bytes: Buffer): FaultAct {
  const headers = { 'content-type': MEDIA.docker.manifest };
  return { kind: 'body', base64: bytes.toString('base64'), headers };
}

function randomLayer(): Buffer {
  return tarOf([{ path: 'data', content: randomBytes(LAYER_BYTES) }]);
}

/** A fault is met where its case's image keeps that part. */
function faultsOf(one: Case, image: BuiltStandinImage): Fault[] {
  const digest = one.at === 'layer' ? (image.layers[0]?.digest ?? '') : image.id;
  const path = one.at === 'manifest' ? `/team/${one.name}/manifests/` : `/team/${one.name}/blobs/${digest}`;
  return one.acts.map((fault) => ({ method: 'GET', path, ...fault }));
}

const repositoryOf = (one: Case): string => `team/${one.name}`;

async function meets({ daemon, standin }: RegistryTest, one: Case): Promise<void> {
  const answer = await pull(daemon, `${HOST}/${repositoryOf(one)}:v`, { timeoutMs: one.withinMs + 20_000 });
  const told = `${one.name}: ${answer.status} ${answer.error} after ${answer.tookMs} ms`;
  assert.ok(answer.tookMs < one.withinMs, told);
  if (one.error !== undefined) {
    assert.match(answer.error, one.error, told);
    return;
  }
  assert.equal(answer.error, '', told);
  const image = standin.images.find(({ repository }) => repository === repositoryOf(one));
  const { json } = await daemon.api(`/images/${HOST}/${repositoryOf(one)}:v/json`);
  assert.equal((json as { Id: string }).Id, image?.id, told);
  const { entries } = await standin.ledger();
  if (one.pausesMs !== undefined) wasPatient(one, entries);
  if (one.isResumed !== true) return;
  const layer = image?.layers[0];
  const sent = entries.filter(({ url, method }) => method === 'GET' && url.includes(layer?.digest ?? ''));
  const bytes = sent.reduce((sum, entry) => sum + entry.sentBytes, 0);
  const requests = sent.map((entry) => `${entry.range || 'all'}: ${entry.sentBytes}`).join(', ');
  assert.ok(
    sent.some(({ range }) => range !== ''),
    `${told}: nothing was asked by range: ${requests}`,
  );
  const limit = (layer?.sizeBytes ?? 0) + TAIL_BYTES * (sent.length - 1);
  assert.ok(bytes <= limit, `${told}: ${bytes} bytes were sent of ${layer?.sizeBytes}`);
}

/** Retry-After is kept to: by the ledger no try comes sooner after the refusal before it. */
function wasPatient(one: Case, entries: readonly LedgerEntry[]): void {
  const mine = entries.filter(({ url }) => url.startsWith(`/v2/${repositoryOf(one)}/`));
  const refusals = mine.filter(({ fault }) => fault === 'status');
  assert.equal(refusals.length, one.acts[0]?.times, one.name);
  for (const refused of refusals) {
    const next = mine.find(({ number, method, url }) => {
      return number > refused.number && method === refused.method && url === refused.url;
    });
    const waitedMs = (next?.atMs ?? 0) - refused.atMs;
    assert.ok(waitedMs >= (one.pausesMs ?? 0), `${one.name}: the next try came after ${waitedMs} ms`);
  }
}

/** What failed pulls have left, by case. */
async function leftAsSaid(given: RegistryTest): Promise<void> {
  const { blobs, trees, pulls, partial, staged } = await storedIn(given);
  assert.deepEqual(staged, []);
  const withoutError = CASES.filter(({ error }) => error === undefined);
  assert.equal(trees.length, withoutError.length, 'each image has one layer, and nothing else has a tree');
  const known = new Set<string>();
  for (const one of CASES) {
    const image = given.standin.images.find(({ repository }) => repository === repositoryOf(one));
    assert.ok(image !== undefined, one.name);
    const layer = image.layers[0]?.digest ?? '';
    const parts = [image.id, image.digest, layer];
    for (const part of parts) known.add(part);
    const of = (list: readonly string[]): readonly string[] => list.filter((name) => parts.includes(name));
    if (one.error === undefined)
      assert.deepEqual([of(pulls), of(partial), of(blobs).length], [[], [], parts.length], one.name);
    else if (one.leaves === 'begun')
      assert.deepEqual([of(pulls), of(blobs).includes(layer)], [[image.digest], false], one.name);
    else assert.deepEqual([of(pulls), of(partial), of(blobs)], [[], [], []], one.name);
  }
  assert.deepEqual(
    [...blobs, ...pulls, ...partial].filter((name) => !known.has(name)),
    [],
  );
}

/** What stays of a pull for its next try goes with that try's image, or when somebody prunes. */
async function allOfItGoes(given: RegistryTest): Promise<void> {
  const { daemon, standin } = given;
  await standin.setFaults([]);
  const begun = CASES.filter(({ leaves }) => leaves === 'begun');
  const retried = begun.slice(0, begun.length / 2);
  for (const one of retried)
    assert.equal((await pull(daemon, `${HOST}/${repositoryOf(one)}:v`)).error, '', one.name);
  const images = CASES.filter((one) => one.error === undefined || retried.includes(one));
  await daemon.mustDocker(['rmi', ...images.map((one) => `${HOST}/${repositoryOf(one)}:v`)]);
  const rest = standin.images.filter(({ repository }) =>
    begun.some((one) => !retried.includes(one) && repositoryOf(one) === repository),
  );
  const { pulls, trees, blobs } = await storedIn(given);
  assert.deepEqual(pulls.toSorted(), rest.map(({ digest }) => digest).toSorted());
  assert.deepEqual(trees, []);
  assert.deepEqual(blobs.toSorted(), rest.flatMap(({ id, digest }) => [id, digest]).toSorted());
  await daemon.mustDocker(['image', 'prune', '-f']);
  await nothingIsBegun(given);
}

registryTest(
  'a registry with faults: success after a retry or a clear error, in time',
  {
    ...{
      hosts: HOSTS,
      tls: 'none',
      timeoutMs: 200_000,
      daemon: { config: { 'max-concurrent-downloads': 100 } },
    },
    images: CASES.map(({ name }) => ({ repository: `team/${name}`, tags: ['v'], layers: [randomLayer()] })),
  },
  async (given) => {
    const faults = given.standin.images.flatMap((image, index) => {
      const one = CASES[index];
      return one === undefined ? [] : faultsOf(one, image);
    });
    await given.standin.setFaults(faults);
    const results = await Promise.allSettled(CASES.map((one) => meets(given, one)));
    const failed = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    assert.deepEqual(failed, []);
    await leftAsSaid(given);
    await allOfItGoes(given);
  },
);

function zstdWithWindow(): Buffer {
  const header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
  return Buffer.concat([Buffer.from([...header, 0x01, 0x00, 0x00]), Buffer.alloc(64)]);
}

function configOf(layer: Buffer): Buffer {
  const rootfs = { type: 'layers', diff_ids: [digestOf(layer)] };
  return Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs }));
}

registryTest('documents that are wrong', { hosts: HOSTS, tls: 'none' }, async ({ daemon, standin }) => {
  const { content } = standin;
  const layer = randomLayer();
  const good = await content.add({ repository: 'team/good', tags: ['v'], layers: [layer] });
  const media = MEDIA.docker;
  const config = configOf(layer);
  const blobs = {
    config,
    truncated: gzipSync(layer).subarray(0, -5000),
    window: zstdWithWindow(),
    noTar: gzipSync(Buffer.from('not a tar '.repeat(1000))),
    right: gzipSync(layer),
  };
  const documentOf = (blob: Buffer, type: string, more: Record<string, unknown> = {}): Buffer =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: media.manifest,
        config: { mediaType: media.config, size: config.length, digest: digestOf(config) },
        layers: [{ mediaType: type, size: blob.length, digest: digestOf(blob) }],
        ...more,
      }),
    );
  const BOTH = /invalid manifest: it is both a manifest and an index/;
  const both = (mediaType: string, more: Record<string, unknown> = {}): Buffer =>
    documentOf(blobs.right, media.layers.gzip, { mediaType, manifests: [], ...more });
  const documents: readonly (readonly [string, Buffer, RegExp, type?: string])[] = [
    ['truncated', documentOf(blobs.truncated, media.layers.gzip), /failed to register layer: unexpected EOF/],
    [
      'window',
      documentOf(blobs.window, media.layers.zstd),
      /failed to register layer: damaged compressed archive: window of 2147483648 bytes/,
    ],
    [
      'no-tar',
      documentOf(blobs.noTar, media.layers.gzip),
      /failed to register layer: archive\/tar: invalid tar header/,
    ],
    [
      'layer-type',
      documentOf(blobs.right, 'application/vnd.example'),
      /unsupported media type application\/vnd.example/,
    ],
    ['both', both(media.manifest), BOTH],
    ['both-as-list', both(media.index), BOTH, media.index],
    ['both-as-index', both(MEDIA.oci.index), /expected index but found/, MEDIA.oci.index],
    ['both-as-oci', both(MEDIA.oci.manifest), /expected manifest but found/, MEDIA.oci.manifest],
    ['both-as-other', both(media.manifest, { other: 1 }), /^mediaType in manifest list/, media.index],
    ['arm', documentOf(blobs.right, media.layers.gzip, {}), /^$/],
  ];
  for (const [tag, bytes, , mediaType = media.manifest] of documents) {
    await content.document('team/wrong', { tag, mediaType, bytes });
    for (const blob of Object.values(blobs)) await content.addBlob('team/wrong', blob);
  }
  await standin.reload();
  for (const [tag, , error] of documents) {
    const answer = await pull(daemon, `${HOST}/team/wrong:${tag}`);
    assert.match(answer.error, error, `${tag}: ${answer.error}`);
    await nothingIsBegun({ daemon });
  }
  const other = digestOf(Buffer.from('another'));
  await standin.setFaults([
    { path: `manifests/${other}`, act: bodyOf(documentOf(blobs.right, media.layers.gzip)) },
  ]);
  const byDigest = await pull(daemon, `${HOST}/team/good@${other}`);
  assert.equal(byDigest.error, `manifest verification failed for digest ${other}`);
  assert.deepEqual(byDigest.lines[0], { status: 'Pulling from team/good', id: `${HOST}/team/good@${other}` });
  assert.equal((await pull(daemon, `${HOST}/team/good@${good.digest}`)).error, '');
  await nothingIsBegun({ daemon });
});

/** The large layer comes first; of the other one everything takes `SLOW_MS`. */
const SLOW_MS = 2000;
const slowLayer = tarOf([{ path: 'slow', content: randomBytes(1_000_000) }]);

registryTest(
  'a repetition after a wrong digest waits for its turn like any other download',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    daemon: { config: { 'max-concurrent-downloads': 1 } },
    images: [{ repository: 'team/app', tags: ['v'], layers: [randomLayer(), slowLayer] }],
  },
  async ({ daemon, standin }) => {
    const [large, slow] = standin.images[0]?.layers ?? [];
    assert.ok(large !== undefined && slow !== undefined);
    const bytesPerSecond = (slow.sizeBytes / SLOW_MS) * 1000;
    await standin.setFaults([{ path: slow.digest, method: 'GET', act: { kind: 'slow', bytesPerSecond } }]);
    // As if an earlier try had left something else.
    const partial = `${daemon.dataRoot}/content/partial/${large.digest.slice('sha256:'.length)}`;
    await writeFile(partial, randomBytes(1000));
    assert.equal((await pull(daemon, `${HOST}/team/app:v`)).error, '');
    const { entries } = await standin.ledger();
    const gets = (digest: string): readonly LedgerEntry[] =>
      entries.filter(({ method, url }) => method === 'GET' && url.includes(digest));
    const [first, repeated] = gets(large.digest);
    const between = gets(slow.digest)[0];
    assert.equal(first?.offset, 1000);
    assert.equal(repeated?.offset, 0);
    const waitedMs = (repeated?.atMs ?? 0) - (between?.atMs ?? 0);
    assert.ok(waitedMs > SLOW_MS * 0.7, `${waitedMs} ms after the slow layer began`);
  },
);

const PRIVATE = '127.0.0.1:5002';
const someone = { name: 'me', password: 'my-secret', pull: ['*'], push: ['*'] };
const closed: RegistryRole = {
  ...{ role: 'registry', location: 'absolute', link: 'relative', blobsAt: `http://${ELSEWHERE}` },
  access: { kind: 'basic', realm: 'Basic realm="me"', users: [someone] },
};

registryTest(
  'a redirect to another host takes no credentials along',
  {
    ...{ hosts: { [PRIVATE]: [closed], [ELSEWHERE]: [{ role: 'blobs' }] }, tls: 'none' },
    images: [{ repository: 'team/app', tags: ['v'], layers: [randomLayer()] }],
  },
  async ({ daemon, standin }) => {
    const auth = registryAuth({ username: 'me', password: 'my-secret', serveraddress: PRIVATE });
    const answer = await pull(daemon, `${PRIVATE}/team/app:v`, { headers: auth });
    assert.equal(answer.error, '');
    const ledger = await standin.ledger();
    assert.ok(ledger.entries.some(({ host, status: code }) => host === ELSEWHERE && code === 200));
    assertCredentialsStay(ledger, { secrets: ['my-secret'], hosts: [PRIVATE] });
  },
);

registryTest(
  'a realm of another registry gets no credentials of this one',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY], [ELSEWHERE]: [{ role: 'blobs' }] }, tls: 'none' },
    images: [{ repository: 'team/app', tags: ['v'], layers: [randomLayer()] }],
  },
  async ({ daemon, standin }) => {
    const realm = { 'www-authenticate': `Bearer realm="http://${ELSEWHERE}/token",service="x"` };
    await standin.setFaults([{ host: HOST, act: { kind: 'status', status: 401, headers: realm } }]);
    const elsewhere = registryAuth({ username: 'me', password: 'my-secret', serveraddress: 'other.example' });
    const answer = await pull(daemon, `${HOST}/team/app:v`, { headers: elsewhere });
    assert.notEqual(answer.error, '');
    assertCredentialsStay(await standin.ledger(), { secrets: ['my-secret'], hosts: [] });
  },
);
