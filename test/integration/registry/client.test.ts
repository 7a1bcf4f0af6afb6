import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { Digest } from '#oci/digest.ts';
import type { RegistryError } from '#registry/errors.ts';
import { until } from '../../support/command.ts';
import { all, blobName, client, NEVER, registry, repository, silent, someone } from './client-fixture.ts';
import { digestOf, refuse, type Manner } from './small-registry.ts';

test('a manifest by tag and by digest, and its head', async (t) => {
  const one = await registry(t);
  const digest = one.addManifest('v1', '{"a":1}');
  const repo = repository(t, one.host);
  await repo.ping();
  const head = await repo.head('v1');
  assert.deepEqual(head, {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest,
    sizeBytes: 7,
  });
  assert.equal((await repo.manifest(head.digest)).bytes.toString(), '{"a":1}');
  assert.equal((await repo.manifest('v1')).digest, digest);
});

test('what is missing has the text of the reference, with HEAD and with GET', async (t) => {
  const one = await registry(t);
  const repo = repository(t, one.host);
  for (const attempt of [() => repo.head('nope'), () => repo.manifest('nope')]) {
    await assert.rejects(attempt, (error: RegistryError) => {
      assert.equal(error.message, 'manifest unknown: manifest_unknown');
      assert.deepEqual([error.kind, error.status, error.codes], ['notFound', 404, ['MANIFEST_UNKNOWN']]);
      return true;
    });
  }
});

test('nobody listens: the plain address is named, at once', async (t) => {
  const repo = repository(t, '127.0.0.1:1');
  await assert.rejects(repo.ping(), {
    message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    kind: 'internal',
  });
});

test('HEAD is refused, or says no digest: GET says it', async (t) => {
  const one = await registry(t, ({ request, response }) => {
    if (request.method !== 'HEAD') return false;
    response.writeHead(405).end();
    return true;
  });
  const digest = one.addManifest('v1', '{}');
  assert.equal((await repository(t, one.host).head('v1')).digest, digest);
});

test('bytes of another digest are no manifest', async (t) => {
  const one = await registry(t);
  const wrong = digestOf(Buffer.from('other'));
  one.manifests.set(wrong, { type: 'x', bytes: Buffer.from('{}') });
  await assert.rejects(repository(t, one.host).manifest(wrong), /manifest verification failed for digest/);
});

test('a manifest without end or larger than LIMITS.manifestBytes is not read to its end', async (t) => {
  const one = await registry(t, ({ url, response }) => {
    if (!url.pathname.includes('manifests')) return false;
    response.writeHead(200, { 'content-type': 'x' });
    const feed = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', feed);
    feed();
    return true;
  });
  await assert.rejects(repository(t, one.host).manifest('v1'), new RegExp(`${LIMITS.manifestBytes} bytes`));
});

test('errors of more than LIMITS.errorBodyBytes are not read', async (t) => {
  const body = 'x'.repeat(LIMITS.errorBodyBytes + 1);
  const one = await registry(t, ({ response }) => {
    response.writeHead(400, { 'content-type': 'text/plain' }).end(body);
    return true;
  });
  await assert.rejects(repository(t, one.host).manifest('v1'), { message: 'unknown: ' });
});

test('silence: firstByteMs, and LIMITS.registryTries attempts', async (t) => {
  const one = await registry(t, silent);
  const repo = repository(t, one.host, { timings: { firstByteMs: 50 } });
  await assert.rejects(repo.manifest('v1'), {
    message: `Get "http://${one.host}/v2/team/app/manifests/v1": context deadline exceeded`,
  });
  assert.equal(one.seen.length, LIMITS.registryTries);
});

test('a manifest that drips: idleMs between pieces, documentMs altogether', async (t) => {
  const one = await registry(t, ({ response, url }) => {
    if (!url.pathname.includes('manifests')) return false;
    response.writeHead(200, { 'content-length': '100000' });
    response.write('x');
    if (!url.pathname.endsWith('drip')) return true;
    const drip = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(drip));
    return true;
  });
  const repo = repository(t, one.host, { timings: { documentMs: 200, idleMs: 100 } });
  for (const tag of ['stop', 'drip']) {
    await assert.rejects(repo.manifest(tag), /while reading body/);
  }
});

test('a server that never shakes hands: connectMs', async (t) => {
  const mute = createServer(() => undefined).listen(0, '127.0.0.1');
  t.after(() => mute.close());
  await once(mute, 'listening');
  mute.on('connection', (socket) => t.after(() => socket.destroy()));
  const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}/`;
  const impatient = client(t, { timings: { connectMs: 50 } });
  await assert.rejects(impatient.fetchUrl(url, NEVER), {
    message: `Get "${url}": net/http: TLS handshake timeout`,
  });
});

test('429 and 503 with Retry-After are repeated; a limit that says nothing is not', async (t) => {
  const busy: Manner = ({ response, url, before }) => {
    const status = Number(/\/(429|503)$/.exec(url.pathname)?.[1] ?? 0);
    if (status === 0 || before > 0) return false;
    return refuse(response, status, { code: 'TOOMANYREQUESTS', headers: { 'retry-after': '0' } });
  };
  const one = await registry(t, busy, ({ response, url }) =>
    url.pathname.endsWith('limit') ? refuse(response, 429, 'TOOMANYREQUESTS') : false,
  );
  for (const tag of ['429', '503']) one.addManifest(tag, '{}');
  const repo = repository(t, one.host);
  for (const tag of ['429', '503']) assert.equal((await repo.manifest(tag)).bytes.toString(), '{}');
  await assert.rejects(repo.manifest('limit'), { message: 'toomanyrequests: toomanyrequests' });
  assert.equal(one.asked('GET', /limit/).length, 1);
});

test('mirrors of any registry: the first good answer, the next one after silenceMs, the origin last', async (t) => {
  const origin = await registry(t);
  const quiet = await registry(t, silent);
  const good = await registry(t);
  const digest = good.addManifest('v1', '{}');
  origin.addManifest('v1', '{}');
  const repo = repository(t, origin.host, { mirrors: [`http://${quiet.host}/`, `http://${good.host}/`] });
  assert.equal((await repo.head('v1')).digest, digest);
  assert.equal((await repo.manifest('v1')).from, `http://${good.host}`);
  assert.equal(origin.seen.length, 0);
  assert.match(good.seen[0]?.url ?? '', /\?ns=127\.0\.0\.1/);
  assert.equal(quiet.asked('GET', /manifests/).length, 0, 'who was silent is not asked first again');
});

test('a mirror that lacks it, fails, or lies: the origin has it', async (t) => {
  const origin = await registry(t);
  const lacking = await registry(t);
  const failing = await registry(t, ({ response }) => {
    response.writeHead(500).end();
    return true;
  });
  const lying = await registry(t);
  const digest = origin.addManifest('v1', '{}') as Digest;
  lying.manifests.set(digest, { type: 'x', bytes: Buffer.from('[]') });
  const mirrors = [lacking, failing, lying].map(({ host }) => `http://${host}`);
  const repo = repository(t, origin.host, { mirrors, credentials: someone() });
  assert.equal((await repo.manifest(digest)).from, `https://${origin.host}`);
  for (const mirror of [lacking, failing, lying]) {
    assert.ok(mirror.seen.length > 0);
    assert.ok(mirror.seen.every(({ authorization }) => authorization === ''));
  }
});

test('a mirror whose blob has wrong bytes is asked last from then on', async (t) => {
  const origin = await registry(t);
  const mirror = await registry(t);
  const blob = origin.addBlob(Buffer.from('{"config":1}'));
  mirror.blobs.set(blob.digest, Buffer.from('{"config":2}'));
  const repo = repository(t, origin.host, { mirrors: [`http://${mirror.host}`] });
  assert.equal((await repo.blobBytes(blobName(blob), 100)).toString(), '{"config":1}');
  assert.equal(mirror.asked('GET', /blobs/).length, 1);
});

test('a proxy is asked for what is not of this host', async (t) => {
  const proxy = await registry(t, ({ request, response }) => {
    if (request.url !== 'http://r.example:81/v2/') return false;
    response.end('{}');
    return true;
  });
  const settings = { insecure: ['r.example:81'], proxy: { http: `http://${proxy.host}`, https: '', no: '' } };
  await repository(t, 'r.example:81', settings).ping();
  assert.equal(proxy.seen.length, 1);
  const direct = { ...settings, proxy: { ...settings.proxy, no: 'r.example' } };
  await assert.rejects(repository(t, 'r.example:81', direct).ping());
});

test('a kept connection that the server has closed is made again', async (t) => {
  const one = await registry(t);
  one.addManifest('v1', '{}');
  const repo = repository(t, one.host);
  for (let round = 0; round < 3; round++) {
    await repo.manifest('v1');
    one.hangUp();
  }
  assert.equal(one.asked('GET', /manifests/).length, 3);
});

test('an address for an import', async (t) => {
  const one = await registry(t, ({ response, url }) => {
    if (url.pathname !== '/a.tar') return false;
    response.writeHead(200, { 'content-length': '3' }).end('tar');
    return true;
  });
  const { sizeBytes, chunks } = await client(t).fetchUrl(`http://${one.host}/a.tar`, NEVER);
  assert.equal(sizeBytes, 3);
  assert.equal((await all(chunks)).toString(), 'tar');
  await assert.rejects(client(t).fetchUrl(`http://${one.host}/b.tar`, NEVER), { status: 404 });
});

test('a caller that leaves ends what is under way', async (t) => {
  const one = await registry(t, silent);
  const leaving = new AbortController();
  const use = { actions: 'pull', credentials: null, signal: leaving.signal } as const;
  const waiting = client(t).repository({ domain: one.host, path: 'team/app' }, use).manifest('v1');
  const ended = assert.rejects(waiting, /left/);
  await until(() => (one.seen.length > 0 ? true : undefined), { what: 'the request' });
  leaving.abort(new Error('left'));
  await ended;
  assert.equal(one.seen.length, 1);
});
