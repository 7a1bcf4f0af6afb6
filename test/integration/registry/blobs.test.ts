import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { Digest } from '#oci/digest.ts';
import {
  all,
  basic,
  blobName,
  client,
  NEVER,
  registry,
  repository,
  silent,
  someone,
} from './client-fixture.ts';
import { digestOf, type Manner } from './small-registry.ts';

test('a blob from an offset, with a server that knows ranges and one that does not', async (t) => {
  const one = await registry(t, ({ request, url }) => {
    if (url.pathname.includes('/plain/')) delete request.headers.range;
    return false;
  });
  const bytes = randomBytes(300_000);
  const want = blobName(one.addBlob(bytes));
  const from = { offset: 100_000, signal: NEVER };
  const ranged = await repository(t, one.host).blob(want, from);
  assert.equal(ranged.offset, 100_000);
  assert.ok(bytes.subarray(100_000).equals(await all(ranged.chunks)));
  const repo = client(t).repository(
    { domain: one.host, path: 'plain/app' },
    { actions: 'pull', credentials: null },
  );
  const whole = await repo.blob(want, from);
  assert.equal(whole.offset, 0);
  assert.ok(bytes.equals(await all(whole.chunks)));
  assert.equal((await all((await repo.blob(want, { offset: 300_000, signal: NEVER })).chunks)).length, 0);
});

interface Interruption {
  readonly sent: number;
  readonly times: number;
  readonly then: 'reset' | 'stall';
}

/** Sends `sent` bytes of a blob and then does something bad, `times` times. */
function interrupted(bytes: Buffer, how: Interruption): Manner {
  const { sent, times, then } = how;
  return ({ request, response, url, before }) => {
    if (!url.pathname.includes('/blobs/') || before >= times) return false;
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    const headers = { 'content-length': bytes.length - start, 'content-range': range };
    response.writeHead(start === 0 ? 200 : 206, headers);
    response.write(bytes.subarray(start, start + sent), () => {
      if (then === 'reset') setImmediate(() => response.destroy());
    });
    return true;
  };
}

for (const how of ['reset', 'stall'] as const) {
  test(`a connection that is lost (${how}) is continued where it ended`, async (t) => {
    const bytes = randomBytes(500_000);
    const one = await registry(t, interrupted(bytes, { sent: 100_000, times: 3, then: how }));
    const { chunks, offset } = await repository(t, one.host).blob(blobName(one.addBlob(bytes)), {
      ...{ offset: 0, signal: NEVER },
    });
    assert.equal(offset, 0);
    assert.ok(bytes.equals(await all(chunks)));
    const ranges = one.asked('GET', /blobs/).map(({ range }) => range);
    assert.equal(ranges.length, 4);
    assert.match(ranges[1] ?? '', /^bytes=\d+-$/);
  });
}

test('a server that forgets ranges after a loss: what was given is skipped', async (t) => {
  const bytes = randomBytes(400_000);
  const one = await registry(
    t,
    interrupted(bytes, { sent: 150_000, times: 1, then: 'reset' }),
    ({ request }) => {
      delete request.headers.range;
      return false;
    },
  );
  const { chunks } = await repository(t, one.host).blob(blobName(one.addBlob(bytes)), {
    ...{ offset: 0, signal: NEVER },
  });
  assert.ok(bytes.equals(await all(chunks)));
});

test('attempts without progress end', async (t) => {
  const bytes = randomBytes(100_000);
  const one = await registry(t, interrupted(bytes, { sent: 0, times: 99, then: 'reset' }));
  const { chunks } = await repository(t, one.host, { tries: 3 }).blob(blobName(one.addBlob(bytes)), {
    ...{ offset: 0, signal: NEVER },
  });
  await assert.rejects(all(chunks), /unexpected EOF/);
  assert.equal(one.asked('GET', /blobs/).length, 3);
});

test('a body that is longer than it should be, and one that says so', async (t) => {
  const one = await registry(t, ({ response, url }) => {
    if (!url.pathname.includes('/blobs/')) return false;
    if (url.pathname.includes('said')) response.setHeader('content-length', 20);
    response.write('x'.repeat(10));
    response.end('x'.repeat(10));
    return true;
  });
  const want = { digest: digestOf(Buffer.from('x')) as Digest, sizeBytes: 10 };
  const { chunks } = await repository(t, one.host).blob(want, { offset: 0, signal: NEVER });
  await assert.rejects(all(chunks), /the blob has 10 bytes, the registry sends more/);
  const said = client(t).repository(
    { domain: one.host, path: 'said' },
    { actions: 'pull', credentials: null },
  );
  await assert.rejects(said.blob(want, { offset: 0, signal: NEVER }), /answers with 20/);
});

test('a blob that is missing, and one whose caller leaves', async (t) => {
  const one = await registry(t, silent);
  const leaving = new AbortController();
  const want = { digest: digestOf(Buffer.from('x')) as Digest, sizeBytes: 10 };
  const waiting = repository(t, one.host).blob(want, { offset: 0, signal: leaving.signal });
  setTimeout(() => leaving.abort(new Error('left')), 30);
  await assert.rejects(waiting, /left/);
  one.manners = [];
  await assert.rejects(repository(t, one.host).blob(want, { offset: 0, signal: NEVER }), {
    message: 'unknown blob',
    status: 404,
  });
});

test('a redirect to another origin goes without Authorization, one to the same with it', async (t) => {
  const store = await registry(t, ({ response }) => {
    response.writeHead(200, { 'content-length': '4' }).end('blob');
    return true;
  });
  const one = await registry(t, basic, ({ response, url }) => {
    if (!url.pathname.includes('/blobs/')) return false;
    if (url.searchParams.has('again')) response.writeHead(307, { location: `http://${store.host}/x?sig=1` });
    else response.writeHead(307, { location: `${url.pathname}?again=1` });
    response.end();
    return true;
  });
  const want = { digest: digestOf(Buffer.from('blob')) as Digest, sizeBytes: 4 };
  const repo = repository(t, one.host, { credentials: someone(one.host) });
  assert.equal((await repo.blobBytes(want, 10)).toString(), 'blob');
  assert.notEqual(one.asked('GET', /again/)[0]?.authorization, '');
  assert.deepEqual(
    store.seen.map(({ authorization }) => authorization),
    [''],
  );
});

test('a circle of redirects ends after LIMITS.registryRedirects', async (t) => {
  const one = await registry(t, ({ response, url }) => {
    response.writeHead(302, { location: url.pathname }).end();
    return true;
  });
  await assert.rejects(repository(t, one.host).manifest('v1'), /stopped after 10 redirects/);
  assert.equal(one.seen.length, LIMITS.registryRedirects + 1);
});
