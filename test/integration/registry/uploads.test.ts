import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Digest } from '#oci/digest.ts';
import { NEVER, registry, repository } from './client-fixture.ts';
import { digestOf, refuse } from './small-registry.ts';

const isRead = (method = ''): boolean => method === 'GET' || method === 'HEAD';

function source(bytes: Buffer): (offset: number) => AsyncIterable<Uint8Array> {
  return async function* open(offset) {
    await Promise.resolve();
    for (let at = offset; at < bytes.length; at += 30_000) yield bytes.subarray(at, at + 30_000);
  };
}

const pushing = { actions: 'pull,push' } as const;

test('an upload in one piece, one that is there, one that is taken over', async (t) => {
  const one = await registry(t);
  const bytes = randomBytes(200_000);
  const blob = { digest: digestOf(bytes) as Digest, sizeBytes: bytes.length };
  const repo = repository(t, one.host, pushing);
  assert.equal(await repo.hasBlob(blob.digest), false);
  assert.equal(await repo.mountBlob(blob.digest, 'team/other'), false);
  await repo.upload(blob, source(bytes), NEVER);
  assert.ok(one.blobs.get(blob.digest)?.equals(bytes));
  assert.equal(one.asked('POST', /uploads/).length, 1, 'the upload that the mount began is used');
  assert.equal(await repo.hasBlob(blob.digest), true);
  assert.equal(await repo.mountBlob(blob.digest, 'team/other'), true);
  const document = { mediaType: 'application/json', bytes: Buffer.from('{}') };
  assert.equal((await repo.putManifest('v1', document)).digest, digestOf(document.bytes));
  const empty = Buffer.alloc(0);
  await repo.upload({ digest: digestOf(empty) as Digest, sizeBytes: 0 }, source(empty), NEVER);
});

test('pieces of chunkBytes where a registry wants them, or refuses one that is large', async (t) => {
  const bytes = randomBytes(200_000);
  const blob = { digest: digestOf(bytes) as Digest, sizeBytes: bytes.length };
  const wants = await registry(t, ({ request, response }) => {
    if (request.method === 'POST') response.setHeader('oci-chunk-min-length', '10');
    return false;
  });
  const refuses = await registry(t, ({ request, response, body }) => {
    if (request.method !== 'PUT' || body.length < 100_000) return false;
    response.writeHead(413).end();
    return true;
  });
  for (const one of [wants, refuses]) {
    await repository(t, one.host, { ...pushing, timings: { chunkBytes: 64_000 } }).upload(
      blob,
      source(bytes),
      NEVER,
    );
    assert.ok(one.blobs.get(blob.digest)?.equals(bytes));
    assert.equal(one.asked('PATCH', /uploads/).length, 4);
  }
});

test('an upload that is lost goes on at the offset that the registry names', async (t) => {
  const bytes = randomBytes(200_000);
  const blob = { digest: digestOf(bytes) as Digest, sizeBytes: bytes.length };
  const one = await registry(t, ({ request, response, url, before, body }) => {
    if (request.method !== 'PUT' || before > 0) return false;
    one.uploads.set(url.pathname.replace(/^.*\//, ''), body.subarray(0, 120_000));
    response.destroy();
    return true;
  });
  await repository(t, one.host, pushing).upload(blob, source(bytes), NEVER);
  assert.ok(one.blobs.get(blob.digest)?.equals(bytes));
  assert.deepEqual(
    one.asked('PATCH', /uploads/).map(({ bodyBytes }) => bodyBytes),
    [80_000],
  );
});

test('an upload that the registry has forgotten begins anew; a source that fails is no fault of it', async (t) => {
  const bytes = randomBytes(100_000);
  const blob = { digest: digestOf(bytes) as Digest, sizeBytes: bytes.length };
  const one = await registry(t, ({ request, response, before }) => {
    if (request.method !== 'PUT' || one.asked('PUT', /uploads/).length > 1 || before > 0) return false;
    one.uploads.clear();
    response.destroy();
    return true;
  });
  await repository(t, one.host, pushing).upload(blob, source(bytes), NEVER);
  assert.ok(one.blobs.get(blob.digest)?.equals(bytes));
  const short = source(bytes.subarray(0, 50_000));
  await assert.rejects(repository(t, one.host, pushing).upload(blob, short, NEVER), /ends 50000 bytes early/);
});

test('a refused upload says why', async (t) => {
  const one = await registry(t, ({ request, response }) =>
    isRead(request.method) ? false : refuse(response, 403, 'DENIED'),
  );
  const blob = { digest: digestOf(Buffer.from('x')) as Digest, sizeBytes: 1 };
  await assert.rejects(repository(t, one.host, pushing).upload(blob, source(Buffer.from('x')), NEVER), {
    message: 'denied: denied',
    kind: 'permissionDenied',
  });
});
