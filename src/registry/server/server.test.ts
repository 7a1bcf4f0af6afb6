import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import { createRegistryServer, type RegistryServer, type RegistryServerOptions } from '../server.ts';
import { MemoryBlobs } from './testing/memory-blobs.ts';

const TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const digest = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

interface Sent {
  readonly body?: Uint8Array | string;
  readonly headers?: Record<string, string>;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

class Running implements AsyncDisposable {
  readonly registry: RegistryServer;
  readonly blobs: MemoryBlobs;
  readonly #port: number;
  readonly #end: () => Promise<void>;

  constructor(of: { registry: RegistryServer; blobs: MemoryBlobs; port: number; end: () => Promise<void> }) {
    this.registry = of.registry;
    this.blobs = of.blobs;
    this.#port = of.port;
    this.#end = of.end;
  }

  ask(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const { body, headers = {} } = sent;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const outgoing = request({ host: '127.0.0.1', port: this.#port, method, path, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
    return promise;
  }

  /** A request whose body never ends. */
  stuckPut(path: string): { readonly sent: Promise<void>; destroy(): void } {
    const headers = { 'content-type': TYPE, 'content-length': '100', expect: '100-continue' };
    const outgoing = request({
      host: '127.0.0.1',
      port: this.#port,
      method: 'PUT',
      path,
      headers,
      agent: false,
    });
    outgoing.on('error', () => undefined);
    const sent = new Promise<void>((resolve) => outgoing.once('continue', resolve));
    outgoing.flushHeaders();
    return { sent, destroy: () => void outgoing.destroy() };
  }

  async pushBlob(repo: string, bytes: Buffer): Promise<string> {
    const name = digest(bytes);
    const { status } = await this.ask('POST', `/v2/${repo}/blobs/uploads/?digest=${name}`, { body: bytes });
    assert.equal(status, 201);
    return name;
  }

  pushManifest(repo: string, reference: string, document: object): Promise<Answer> {
    return this.ask('PUT', `/v2/${repo}/manifests/${reference}`, {
      body: JSON.stringify(document),
      headers: { 'content-type': TYPE },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}

type Options = Partial<Omit<RegistryServerOptions, 'blobs' | 'directory'>>;

async function start(options: Options = {}): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'gt-server-'));
  const blobs = new MemoryBlobs(options.nowMs ?? Date.now);
  const base = { access: null, isReadonly: false, upstream: null, log: silentLog };
  const registry = await createRegistryServer({ ...base, ...options, blobs, directory });
  const server = createServer({ maxHeaderSize: 2 * LIMITS.registryTargetBytes }, (from, to) =>
    registry.handle(from, to),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const end = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  };
  return new Running({ registry, blobs, port: (server.address() as AddressInfo).port, end });
}

function imageOf(config: string, size: number, more: object = {}): object {
  return {
    schemaVersion: 2,
    mediaType: TYPE,
    config: { mediaType: 'x/config', digest: config, size },
    layers: [],
    ...more,
  };
}

test('uploads are bounded in number, and end when nobody goes on with them', async () => {
  let nowMs = 1_000_000;
  await using running = await start({ nowMs: () => nowMs });
  const asks = Array.from({ length: LIMITS.registryUploads + 2 }, () =>
    running.ask('POST', '/v2/a/blobs/uploads/'),
  );
  const statuses = (await Promise.all(asks)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 202).length, LIMITS.registryUploads);
  assert.equal(statuses.filter((status) => status === 429).length, 2);
  nowMs += LIMITS.registryUploadKeepMs - 1;
  await running.registry.collect();
  assert.equal(running.blobs.openUploads, LIMITS.registryUploads);
  nowMs += 1;
  await running.registry.collect();
  assert.equal(running.blobs.openUploads, 0);
  assert.equal((await running.ask('POST', '/v2/a/blobs/uploads/')).status, 202);
});

test('what is too long or too much', async () => {
  await using running = await start();
  const config = randomBytes(10);
  const name = await running.pushBlob('a', config);
  assert.equal((await running.ask('GET', `/v2/?${'x'.repeat(LIMITS.registryTargetBytes)}`)).status, 400);
  const huge = Buffer.alloc(LIMITS.manifestBytes + 1, 0x20);
  assert.equal(
    (await running.ask('PUT', '/v2/a/manifests/huge', { body: huge, headers: { 'content-type': TYPE } }))
      .status,
    413,
  );
  const bytes = JSON.stringify(imageOf(name, 10));
  const tags = (count: number): string => Array.from({ length: count }, (_, n) => `tag=t${n}`).join('&');
  const put = (count: number): Promise<Answer> =>
    running.ask('PUT', `/v2/a/manifests/${digest(Buffer.from(bytes))}?${tags(count)}`, {
      body: bytes,
      headers: { 'content-type': TYPE },
    });
  assert.equal((await put(LIMITS.tagsPerPush + 1)).status, 400);
  assert.equal((await put(LIMITS.tagsPerPush)).status, 201);
  const list = JSON.parse((await running.ask('GET', '/v2/a/tags/list')).body.toString()) as {
    tags: string[];
  };
  assert.equal(list.tags.length, LIMITS.tagsPerPush);
});

test('referrers and search results come in pages', async () => {
  await using running = await start();
  const config = randomBytes(10);
  const name = await running.pushBlob('a', config);
  const subject = { mediaType: TYPE, digest: digest(Buffer.from('nothing')), size: 7 };
  for (let n = 0; n < LIMITS.referrersPage + 1; n++) {
    const document = imageOf(name, 10, { subject, annotations: { n: String(n) } });
    const answer = await running.pushManifest('a', digest(Buffer.from(JSON.stringify(document))), document);
    assert.equal(answer.headers['oci-subject'], subject.digest);
  }
  const first = await running.ask('GET', `/v2/a/referrers/${subject.digest}?artifactType=x/config`);
  const next = /^<([^>]+)>/.exec(String(first.headers['link']))?.[1] ?? '';
  const rest = await running.ask('GET', next);
  const count = ({ body }: Answer): number =>
    (JSON.parse(body.toString()) as { manifests: unknown[] }).manifests.length;
  assert.deepEqual([count(first), count(rest)], [LIMITS.referrersPage, 1]);
  assert.equal(rest.headers['link'], undefined);
  for (let n = 0; n < LIMITS.searchPage + 1; n++) {
    const repo = `found/${n}`;
    assert.equal((await running.ask('POST', `/v2/${repo}/blobs/uploads/?mount=${name}&from=a`)).status, 201);
    await running.pushManifest(repo, 'latest', imageOf(name, 10));
  }
  const found = async (query: string): Promise<{ num_results: number; results: { name: string }[] }> =>
    JSON.parse((await running.ask('GET', `/v1/search?${query}`)).body.toString()) as never;
  assert.equal((await found('q=found&n=100000')).results.length, LIMITS.searchPage);
  assert.equal((await found('q=found&page=2&n=100')).results.length, 1);
  assert.deepEqual(
    (await found('q=library/ound/7&n=1')).results.map((result) => result.name),
    ['found/7'],
  );
});

test('a referrer is listed once, whether a client keeps the tag for older registries too or not', async () => {
  await using running = await start();
  const name = await running.pushBlob('a', randomBytes(10));
  const subject = { mediaType: TYPE, digest: digest(Buffer.from('an image')), size: 7 };
  const document = imageOf(name, 10, { subject, annotations: { signed: 'by somebody' } });
  const bytes = Buffer.from(JSON.stringify(document));
  const descriptor = { mediaType: TYPE, digest: digest(bytes), size: bytes.length };
  const pushed = await running.pushManifest('a', digest(bytes), document);
  assert.equal(pushed.headers['oci-subject'], subject.digest);
  const fallback = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [descriptor] };
  const tag = subject.digest.replace(':', '-');
  const headers = { 'content-type': INDEX_TYPE };
  const put = await running.ask('PUT', `/v2/a/manifests/${tag}`, { headers, body: JSON.stringify(fallback) });
  assert.equal(put.status, 201, put.body.toString());
  const listed = async (): Promise<unknown> =>
    (JSON.parse((await running.ask('GET', `/v2/a/referrers/${subject.digest}`)).body.toString()) as never)[
      'manifests'
    ];
  const whole = { ...descriptor, artifactType: 'x/config', annotations: { signed: 'by somebody' } };
  assert.deepEqual(await listed(), [whole]);
  assert.equal((await running.ask('DELETE', `/v2/a/manifests/${descriptor.digest}`)).status, 202);
  assert.deepEqual(await listed(), []);
});

test('repositories are apart: what one has is not served, mounted by name or named in another', async () => {
  await using running = await start();
  const name = await running.pushBlob('a', randomBytes(10));
  assert.equal((await running.ask('GET', `/v2/b/blobs/${name}`)).status, 404);
  assert.equal((await running.ask('POST', `/v2/b/blobs/uploads/?mount=${name}&from=c`)).status, 202);
  const answer = await running.pushManifest('b', 'latest', imageOf(name, 10));
  assert.equal(answer.status, 404);
  assert.match(answer.body.toString(), /MANIFEST_BLOB_UNKNOWN/);
  const opened = await running.ask('POST', '/v2/a/blobs/uploads/');
  const session = String(opened.headers['location']).replace('/v2/a/', '/v2/b/');
  assert.equal((await running.ask('GET', session)).status, 404);
});

test('few manifests are taken at once; who waits gets his turn', async () => {
  await using running = await start();
  const name = await running.pushBlob('a', randomBytes(10));
  const stuck = Array.from({ length: LIMITS.manifestPushes }, () =>
    running.stuckPut('/v2/a/manifests/stuck'),
  );
  await Promise.all(stuck.map(({ sent }) => sent));
  let isDone = false;
  const waiting = running.pushManifest('a', 'latest', imageOf(name, 10)).then((answer) => {
    isDone = true;
    return answer;
  });
  for (let n = 0; n < 20; n++) assert.equal((await running.ask('GET', '/v2/')).status, 200);
  assert.equal(isDone, false);
  stuck[0]?.destroy();
  assert.equal((await waiting).status, 201);
  for (const { destroy } of stuck) destroy();
});

test('readonly: everything is read, nothing changes', async () => {
  await using running = await start({ isReadonly: true });
  assert.equal((await running.ask('GET', '/v2/')).status, 200);
  for (const [method, path] of [
    ['POST', '/v2/a/blobs/uploads/'],
    ['PUT', '/v2/a/manifests/latest'],
    ['DELETE', '/v2/a/manifests/latest'],
    ['PATCH', '/v2/a/blobs/uploads/01234567-89ab-4def-8123-456789abcdef'],
  ])
    assert.equal((await running.ask(method ?? '', path ?? '')).status, 405);
});

test('who is not let in learns nothing but where to identify', async () => {
  let verdict: 'granted' | 'refused' | 'busy' = 'refused';
  await using running = await start({ access: { check: async () => verdict } });
  for (const path of ['/v2/', '/v2/_catalog', '/v1/search', '/nowhere', '/v2/A/tags/list']) {
    const answer = await running.ask('GET', path);
    assert.equal(answer.status, 401, path);
    assert.equal(answer.headers['www-authenticate'], 'Basic realm="gantry-registry"');
  }
  verdict = 'busy';
  assert.equal((await running.ask('GET', '/v2/')).status, 429);
  verdict = 'granted';
  assert.equal((await running.ask('GET', '/v2/')).status, 200);
});

test('a client that lost its connection takes its own session over', async () => {
  await using running = await start();
  const opened = await running.ask('POST', '/v2/a/blobs/uploads/');
  const location = String(opened.headers['location']);
  const bytes = randomBytes(1000);
  const stuck = running.ask('PATCH', location, {
    body: bytes.subarray(0, 500),
    headers: { 'content-length': '1000' },
  });
  stuck.catch(() => undefined);
  while ((await running.ask('GET', location)).headers['range'] !== '0-499')
    await new Promise((resolve) => setImmediate(resolve));
  const headers = { 'content-range': '500-999' };
  assert.equal((await running.ask('PATCH', location, { body: bytes.subarray(500), headers })).status, 202);
  assert.equal((await running.ask('PUT', `${location}?digest=${digest(bytes)}`)).status, 201);
  await assert.rejects(stuck);
});

test('without a wish of its own a blob that nothing names stays for registryBlobGraceMs', async () => {
  let nowMs = 1_000_000;
  await using running = await start({ nowMs: () => nowMs });
  await running.pushBlob('a', randomBytes(10));
  nowMs += LIMITS.registryBlobGraceMs - 1;
  await running.registry.collect();
  assert.equal((await running.blobs.list()).length, 1);
  nowMs += 1;
  await running.registry.collect();
  assert.deepEqual(await running.blobs.list(), []);
});

test('garbage: what nothing names goes, what somebody asked about stays a while', async () => {
  let nowMs = 1_000_000;
  const blobGraceMs = 1000;
  await using running = await start({ nowMs: () => nowMs, blobGraceMs });
  const kept = await running.pushBlob('a', randomBytes(10));
  const garbage = await running.pushBlob('a', randomBytes(10));
  await running.pushManifest('a', 'latest', imageOf(kept, 10));
  nowMs += blobGraceMs - 1;
  await running.registry.collect();
  assert.equal((await running.ask('HEAD', `/v2/a/blobs/${garbage}`)).status, 200);
  nowMs += blobGraceMs - 1;
  await running.registry.collect();
  assert.equal((await running.ask('HEAD', `/v2/a/blobs/${garbage}`)).status, 200, 'it was asked about');
  nowMs += blobGraceMs;
  await running.registry.collect();
  assert.equal((await running.ask('HEAD', `/v2/a/blobs/${garbage}`)).status, 404);
  assert.equal((await running.ask('HEAD', `/v2/a/blobs/${kept}`)).status, 200);
  assert.equal((await running.blobs.list()).length, 2);
  await running.ask('DELETE', `/v2/a/manifests/${digest(Buffer.from(JSON.stringify(imageOf(kept, 10))))}`);
  nowMs += blobGraceMs;
  await running.registry.collect();
  assert.deepEqual(await running.blobs.list(), []);
  assert.equal((await running.ask('GET', '/v2/a/tags/list')).status, 404);
});
