import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { openContentStore } from '#storage/open-content.ts';
import { FileBlobs } from './file-blobs.ts';

async function* of(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function scratch(
  maxBytes?: number,
): Promise<{ blobs: FileBlobs; folder: string; again(): Promise<FileBlobs> } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'gt-blobs-'));
  const again = async (): Promise<FileBlobs> =>
    FileBlobs.open(await openContentStore(join(folder, 'content')), join(folder, 'uploads'), maxBytes);
  const blobs = await again();
  return { blobs, folder, again, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

const sha = (
  algorithm: 'sha256' | 'sha512',
  bytes: Buffer,
): { algorithm: typeof algorithm; hex: string } => ({
  algorithm,
  hex: createHash(algorithm).update(bytes).digest('hex'),
});

test('an upload in pieces becomes a blob; one begun before is gone on with', async () => {
  await using at = await scratch();
  const bytes = randomBytes(3_000_000);
  const session = randomUUID();
  const first = await at.blobs.begin(session);
  assert.equal(await first.append(of(bytes.subarray(0, 10), bytes.subarray(10, 1_000_000))), 1_000_000);
  const later = await at.again();
  const upload = await later.resume(session);
  assert.equal(upload?.sizeBytes, 1_000_000);
  await upload?.append(of(bytes.subarray(1_000_000)));
  assert.deepEqual(await upload?.read({ start: 5, end: 14 }), bytes.subarray(5, 15));
  const stored = await upload?.commit(sha('sha512', bytes));
  assert.equal(stored?.digest, `sha256:${sha('sha256', bytes).hex}`);
  if (stored === undefined) return;
  assert.ok((await later.readAll(stored.digest, bytes.length)).equals(bytes));
  await upload?.cancel();
  assert.deepEqual(await readdir(join(at.folder, 'uploads')), []);
  assert.deepEqual(await later.list(), [stored.digest]);
});

test('a published upload takes no more bytes, by whatever way', async () => {
  await using at = await scratch();
  const bytes = randomBytes(1000);
  const session = randomUUID();
  const upload = await at.blobs.begin(session);
  await upload.append(of(bytes));
  const { digest } = await upload.commit(sha('sha256', bytes));
  await assert.rejects(upload.append(of(bytes)), (error) => isEngineError(error, 'conflict'));
  // The server died here: its file is another name of the blob.
  assert.equal(await (await at.again()).resume(session), null);
  assert.ok((await at.blobs.readAll(digest, 1000)).equals(bytes));
});

test('other bytes are refused, and what came before a failure stays', async () => {
  await using at = await scratch();
  const upload = await at.blobs.begin(randomUUID());
  const bytes = randomBytes(1000);
  async function* torn(): AsyncGenerator<Uint8Array> {
    yield bytes;
    throw new Error('connection lost');
  }
  await assert.rejects(upload.append(torn()), /connection lost/);
  assert.equal(upload.sizeBytes, 1000);
  await assert.rejects(upload.commit(sha('sha256', randomBytes(3))), (error) =>
    isEngineError(error, 'invalidArgument'),
  );
  assert.deepEqual(await at.blobs.list(), []);
  await upload.commit(sha('sha256', bytes));
});

test('a blob has a bound', async () => {
  const maxBytes = 1000;
  await using at = await scratch(maxBytes);
  const upload = await at.blobs.begin(randomUUID());
  await upload.append(of(randomBytes(maxBytes)));
  await assert.rejects(upload.append(of(randomBytes(1))), (error) => isEngineError(error, 'tooLarge'));
  assert.equal(upload.sizeBytes, maxBytes);
});
