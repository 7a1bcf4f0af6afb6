import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf } from '#oci/digest.ts';
import { fixture } from './storage-fixture.ts';

const MIB = 1024 * 1024;

test('an archive is compressed on other threads, in pieces that every reader of gzip takes for one', async (t) => {
  const { root, storage } = await fixture(t);
  const { content, archives, leases } = storage;
  const lease = leases.open();
  const signal = new AbortController().signal;
  for (const sizeBytes of [0, 1, 2 * MIB, 7 * MIB + 5]) {
    const plain = Buffer.alloc(sizeBytes, 'some text that can be made smaller ');
    const kept = await content.ingest(Readable.from([plain]));
    assert.equal(await archives.formOf(kept.digest), 'none');
    const made = await archives.compress(kept.digest, { lease, signal });
    const bytes = await content.readAll(made.digest, 64 * MIB);
    assert.equal(bytes.length, made.sizeBytes);
    assert.equal(await archives.formOf(made.digest), 'gzip');
    assert.ok(leases.isHeld(made.digest));
    assert.ok(gunzipSync(bytes).equals(plain), `${sizeBytes} bytes`);
    // The same again, also from what is compressed with something else.
    const zstd = await content.ingest(Readable.from([zstdCompressSync(plain)]));
    assert.equal(await archives.formOf(zstd.digest), 'zstd');
    assert.equal((await archives.compress(zstd.digest, { lease, signal })).digest, made.digest);
  }
  assert.deepEqual(readdirSync(join(root, 'content', 'ingest')), []);
});

test('a blob is read from any byte on, and what is cancelled or missing leaves nothing', async (t) => {
  const { root, storage } = await fixture(t);
  const { content, archives, leases } = storage;
  const { digest } = await content.ingest(Readable.from([Buffer.alloc(32 * MIB, 'x')]));
  const rest = await content.openStream(digest, 32 * MIB - 3).toArray();
  assert.equal(Buffer.concat(rest).toString(), 'xxx');
  const stop = new AbortController();
  const lease = leases.open();
  const compressing = archives.compress(digest, { lease, signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(compressing, /enough/);
  await assert.rejects(archives.formOf(digestOf('nothing')), { kind: 'notFound' });
  await assert.rejects(
    archives.compress(digestOf('nothing'), { lease, signal: new AbortController().signal }),
  );
  assert.deepEqual(readdirSync(join(root, 'content', 'ingest')), []);
  assert.equal((await content.digests()).length, 1);
  assert.equal(await archives.formOf((await content.ingest(Readable.from([gzipSync('a')]))).digest), 'gzip');
});
