import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { digestFromHex, digestOf, type Digest } from '#oci/digest.ts';
import { FileContentStore } from './file-content-store.ts';
import { FileIntakes } from './file-intakes.ts';
import { PartialFile } from './partial-file.ts';
import { ProgressReader } from './shared-progress.ts';

interface Opened {
  readonly root: string;
  readonly content: FileContentStore;
  readonly intakes: FileIntakes;
}

async function opened(root: string): Promise<Opened> {
  const content = await FileContentStore.open(root);
  const intakes = await FileIntakes.open({
    partial: join(root, 'partial'),
    temporary: content.temporary,
    files: {
      startWriteBack: () => Promise.resolve(),
      // As the kernel may: not all at once.
      writeAt: async (fd, bytes, offset) => writeSync(fd, bytes, 0, Math.min(bytes.length, 4096), offset),
    },
    adopt: (path, digest) => content.adopt(path, digest),
    digestOf: (path) =>
      Promise.resolve(digestFromHex(createHash('sha256').update(readFileSync(path)).digest('hex'))),
  });
  return { root, content, intakes };
}

function home(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'gantry-intake-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

const BYTES = Buffer.from('0123456789'.repeat(1000));
const WANT = { digest: digestOf(BYTES), sizeBytes: BYTES.length };

test('what was written before is there after another start, and is gone on with', async (t) => {
  const root = home(t);
  const first = await (await opened(root)).intakes.open(WANT);
  await first.append([BYTES.subarray(0, 100), BYTES.subarray(100, 4000)]);
  const { intakes, content } = await opened(root);
  assert.deepEqual(
    (await intakes.partials()).map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
    [{ digest: WANT.digest, sizeBytes: 4000 }],
  );
  const again = await intakes.open(WANT);
  assert.equal(again.haveBytes, 4000);
  await again.append([BYTES.subarray(4000)]);
  again.end();
  await again.verify();
  await again.publish();
  await again.close('discard');
  assert.deepEqual(await content.readAll(WANT.digest, 100_000), BYTES);
  assert.deepEqual(await intakes.partials(), []);
  await first.close('keep');
});

test('a blob is open once; too many bytes, and too few, are refused', async (t) => {
  const { intakes } = await opened(home(t));
  const intake = await intakes.open(WANT);
  await assert.rejects(intakes.open(WANT), (error) => isEngineError(error, 'conflict'));
  await intake.append([BYTES.subarray(1)]);
  await assert.rejects(intake.append([Buffer.alloc(2)]), (error) => isEngineError(error, 'invalidArgument'));
  assert.equal(intake.haveBytes, BYTES.length - 1);
  assert.throws(
    () => intake.end(),
    (error) => isEngineError(error, 'invalidArgument'),
  );
  await intake.restart();
  await intake.append([Buffer.alloc(BYTES.length)]);
  intake.end();
  await assert.rejects(intake.verify(), (error) => isEngineError(error, 'invalidArgument'));
  await intake.close('discard');
  await (await intakes.open(WANT)).close('discard');
  assert.deepEqual(await intakes.partials(), []);
});

test('more than the blob has cannot be of it: such a file begins anew', async (t) => {
  const root = home(t);
  const first = await opened(root);
  const intake = await first.intakes.open(WANT);
  await intake.close('keep');
  truncateSync(intake.file.path, BYTES.length + 1);
  const anew = await first.intakes.open(WANT);
  assert.equal(anew.haveBytes, 0);
  await anew.close('discard');
});

test('many pieces are written in order, however many bytes the kernel takes at once', async (t) => {
  const { intakes, content } = await opened(home(t));
  const intake = await intakes.open(WANT);
  await intake.append(Array.from({ length: 5000 }, (_, i) => BYTES.subarray(2 * i, 2 * i + 2)));
  intake.end();
  await intake.publish();
  assert.deepEqual(await content.readAll(WANT.digest, 100_000), BYTES);
});

test('a blob of unknown digest and size leaves nothing unless it is published', async (t) => {
  const { intakes, content, root } = await opened(home(t));
  const lost = await intakes.openUnknown();
  await lost.append([BYTES]);
  await lost.close();
  assert.equal(existsSync(lost.file.path), false);
  const kept = await intakes.openUnknown();
  await kept.append([BYTES]);
  kept.end();
  const digest = await kept.digest();
  await kept.publishAs(digest);
  assert.ok(kept.file.path.startsWith(root));
  assert.equal(digest, WANT.digest);
  assert.equal(await content.has(digest), true);
});

test('readers wait for bytes, see the end, a restart and a failure', async (t) => {
  const { intakes } = await opened(home(t));
  const intake = await intakes.open(WANT);
  const reader = new ProgressReader(intake.file.progress);
  const first = reader.beyond(0);
  await intake.append([BYTES.subarray(0, 10)]);
  assert.equal(await first, 10);
  const restarted = assert.rejects(reader.beyond(10), { code: 'RESTARTED' });
  await intake.restart();
  await restarted;
  const second = new ProgressReader(intake.file.progress);
  await intake.append([BYTES]);
  intake.end();
  assert.equal(await second.beyond(10), BYTES.length - 10);
  assert.equal(await second.beyond(BYTES.length), 0);
  const lost = await intakes.openUnknown();
  const reading = new ProgressReader(lost.file.progress).beyond(0);
  const failed = assert.rejects(reading, (error) => isEngineError(error, 'unavailable'));
  lost.fail();
  await failed;
});

test('partial blobs go when nobody wants them, when they are old, and the oldest when they are many', async (t) => {
  const root = home(t);
  const { intakes } = await opened(root);
  const now = Date.now();
  const digests: Digest[] = [1, 2, 3, 4].map((n) => digestFromHex(String(n).repeat(64)));
  const pathOf = (digest: Digest | undefined): string => join(root, 'partial', String(digest).slice(7));
  for (const [i, digest] of digests.entries()) {
    writeFileSync(pathOf(digest), 'x');
    utimesSync(pathOf(digest), now / 1000, (now - i * 60_000) / 1000);
  }
  // A sparse file of nearly all that may be kept: what is older than it has no place.
  truncateSync(pathOf(digests[1]), LIMITS.partialKeepBytes - 1);
  utimesSync(pathOf(digests[1]), now / 1000, (now - 60_000) / 1000);
  const left = async (): Promise<Digest[]> => (await intakes.partials()).map((each) => each.digest).sort();
  await intakes.expire(new Set(digests.slice(0, 3)), now);
  assert.deepEqual(await left(), digests.slice(0, 2));
  await intakes.expire(new Set(digests), now + LIMITS.partialKeepMs - 30_000);
  assert.deepEqual(await left(), digests.slice(0, 1));
  const open = await intakes.open({ digest: digests[0] as Digest, sizeBytes: 5 });
  await intakes.expire(new Set(), now);
  assert.deepEqual(await left(), digests.slice(0, 1));
  await open.close('keep');
  await intakes.expire(new Set(), now);
  assert.deepEqual(await left(), []);
});

test('a file is closed after what is being written to it, not before', async (t) => {
  const gate = Promise.withResolvers<void>();
  const path = join(home(t), 'blob');
  const partial = await PartialFile.open({
    path,
    sizeBytes: null,
    files: {
      startWriteBack: () => Promise.resolve(),
      writeAt: async (fd, bytes, offset) => {
        await gate.promise;
        return writeSync(fd, bytes, 0, Math.min(bytes.length, 4096), offset);
      },
    },
  });
  const appended = partial.append([BYTES]);
  const closed = partial.close();
  // Whoever is given the number next must not find our bytes in his file.
  const other = join(home(t), 'other');
  await setTimeout(20);
  writeFileSync(other, '');
  const fd = openSync(other, 'r+');
  t.after(() => closeSync(fd));
  await assert.rejects(partial.append([BYTES]), (error) => isEngineError(error, 'internal'));
  gate.resolve();
  await Promise.all([appended, closed]);
  assert.deepEqual(readFileSync(path), BYTES);
  assert.equal(readFileSync(other).length, 0);
});
