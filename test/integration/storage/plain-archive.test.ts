import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { constants, createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib';
import { isEngineError } from '#base/errors.ts';
import { WorkerPool } from '../../../src/storage/layer/worker-pool.ts';
import { createPlainOf } from '../../../src/storage/plain-archive.ts';
import { fixture, type Fixture } from './storage-fixture.ts';

const MIB = 1024 * 1024;
const PLAIN = Buffer.concat([randomBytes(MIB), Buffer.alloc(2 * MIB, 'gantry '), randomBytes(1000)]);

/** With a window of 128 MiB. */
async function lookingBackFar(plain: Buffer): Promise<Buffer> {
  const encoder = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
  const packed = buffer(encoder);
  await new Promise((resolve) => encoder.write(plain.subarray(0, MIB), resolve));
  encoder.end(plain.subarray(MIB));
  return packed;
}

function xz(plain: Buffer, dictionary: string): Buffer {
  const args = ['-c', '-T1', `--lzma2=preset=0,dict=${dictionary}`];
  const { status, stdout, stderr } = spawnSync('xz', args, { input: plain, maxBuffer: 64 * MIB });
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

/** One that decoders pass over. */
function skippable(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes);
  frame.writeUInt32LE(0x184d2a50);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

/** Zeros in a frame with a window of 128 MiB: 128 KiB in each block of four bytes. */
function bomb(blocks: number): Buffer {
  const RLE = 1;
  const block = (isLast: boolean): number[] => {
    const header = ((128 * 1024) << 3) | (RLE << 1) | (isLast ? 1 : 0);
    return [header & 0xff, (header >> 8) & 0xff, header >> 16, 0];
  };
  const header = [0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3];
  return Buffer.from([
    ...header,
    ...Array.from({ length: blocks }, (_, n) => block(n === blocks - 1)).flat(),
  ]);
}

/** 50,000,000 zeros. */
const BZIP2_BOMB = Buffer.from(
  'QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZk8TsPQAfaMEAwAAAEAAIIAAwzAmqaZUiDapSIPF3JFOFCQj9cpgw',
  'base64',
);

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
}

function temporary({ root }: Fixture): string[] {
  return readdirSync(join(root, 'content', 'ingest'));
}

async function plainOf(fix: Fixture, bytes: Buffer, size = 100_000): Promise<Buffer> {
  const parts: Buffer[] = [];
  // A piece is valid until the next one is asked for.
  for await (const piece of fix.storage.plainOf(pieces(bytes, size))) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

test('whatever an archive is compressed with, however far it looks back', async (t) => {
  const fix = await fixture(t);
  const far = await lookingBackFar(PLAIN);
  const packed = [PLAIN, gzipSync(PLAIN), zstdCompressSync(PLAIN), far, Buffer.concat([skippable(7), far])];
  if (existsSync('/usr/bin/xz')) packed.push(xz(PLAIN, '8MiB'), xz(PLAIN, '64MiB'));
  for (const bytes of packed) assert.ok((await plainOf(fix, bytes)).equals(PLAIN));
  for (const size of [1, 7, 1036]) {
    const short = PLAIN.subarray(0, 3000);
    assert.ok((await plainOf(fix, gzipSync(short), size)).equals(short));
    const isSame = (await plainOf(fix, await lookingBackFar(short), size)).equals(short);
    assert.ok(isSame);
  }
  assert.equal((await plainOf(fix, Buffer.alloc(0))).length, 0);
  assert.deepEqual(temporary(fix), []);
});

test('a later part that looks back far is refused where the first one does not, and decoded where it may', async (t) => {
  const fix = await fixture(t);
  const far = await lookingBackFar(PLAIN);
  const isRefusal = (error: unknown): boolean =>
    isEngineError(error, 'invalidArgument') && /later part that looks back further/.test(error.message);
  await assert.rejects(plainOf(fix, Buffer.concat([zstdCompressSync(PLAIN), far])), isRefusal);
  if (existsSync('/usr/bin/xz')) {
    const [empty, small, big] = [
      xz(Buffer.alloc(0), '8MiB'),
      xz(PLAIN.subarray(0, MIB), '8MiB'),
      xz(PLAIN, '64MiB'),
    ];
    await assert.rejects(plainOf(fix, Buffer.concat([small, big])), isRefusal);
    assert.ok((await plainOf(fix, Buffer.concat([empty, big]))).equals(PLAIN));
    assert.ok((await plainOf(fix, Buffer.concat([small, small]))).length === 2 * MIB);
  }
  assert.deepEqual(temporary(fix), []);
});

test('one that looks back far leaves nothing when it is cut off, damaged, or not read to its end', async (t) => {
  const fix = await fixture(t);
  const far = await lookingBackFar(PLAIN);
  const isBad = (error: unknown): boolean => isEngineError(error, 'invalidArgument');
  await assert.rejects(plainOf(fix, far.subarray(0, -10)), isBad);
  const damaged = Buffer.from(far);
  damaged.fill(0xff, 6, 9);
  await assert.rejects(plainOf(fix, damaged), isBad);
  async function* failing(): AsyncGenerator<Buffer> {
    yield* pieces(far.subarray(0, 5000), 1000);
    throw new Error('the sender is gone');
  }
  await assert.rejects(buffer(fix.storage.plainOf(failing())), /the sender is gone/);
  for await (const piece of fix.storage.plainOf(pieces(far, 100_000))) {
    assert.ok(piece.length > 0);
    break;
  }
  assert.deepEqual(temporary(fix), []);
});

test('one that becomes too large is given up there, and leaves nothing', async (t) => {
  const fix = await fixture(t);
  const pool = new WorkerPool({ threads: 1 });
  t.after(() => pool.close());
  const { intakes } = fix.storage;
  const plain = createPlainOf({ intakes, pool, maxBytes: MIB });
  assert.equal((await buffer(plain(pieces(bomb(8), 1000)))).length, MIB);
  const isTooLarge = (error: unknown): boolean => isEngineError(error, 'tooLarge');
  await assert.rejects(buffer(plain(pieces(bomb(9), 1000))), isTooLarge);
  // Eight gigabytes: nobody waits for them.
  await assert.rejects(buffer(plain(pieces(bomb(65_536), 100_000))), isTooLarge);
  assert.deepEqual(temporary(fix), []);
});

test('one packed with bzip2 ends there too, and when its client leaves', { timeout: 60_000 }, async (t) => {
  const fix = await fixture(t);
  const { intakes } = fix.storage;
  const plain = createPlainOf({ intakes, pool: { run: () => assert.fail('no job') }, maxBytes: 100 * MIB });
  const bombs = (count: number): Buffer => Buffer.concat(Array<Buffer>(count).fill(BZIP2_BOMB));
  const sizeOf = async (archive: AsyncIterable<Buffer>): Promise<number> => {
    let size = 0;
    for await (const piece of archive) size += piece.length;
    return size;
  };
  assert.equal(await sizeOf(plain(pieces(bombs(2), 1000))), 100_000_000);
  const isTooLarge = (error: unknown): boolean => isEngineError(error, 'tooLarge');
  await assert.rejects(sizeOf(plain(pieces(bombs(10_000), 1000))), isTooLarge);
  const gone = new AbortController();
  const reading = sizeOf(fix.storage.plainOf(pieces(bombs(10_000), 100_000), gone.signal));
  reading.catch(() => undefined);
  await pause(50);
  gone.abort(new Error('the client is gone'));
  await assert.rejects(reading, /the client is gone/);
});

test('a client that leaves ends it, in the middle of a decompression too', { timeout: 60_000 }, async (t) => {
  const fix = await fixture(t);
  const gone = new AbortController();
  const reading = buffer(fix.storage.plainOf(pieces(bomb(65_536), 100_000), gone.signal));
  reading.catch(() => undefined);
  const plainBytes = (): number =>
    temporary(fix)
      .filter((name) => name.endsWith('-plain'))
      .reduce((sum, name) => sum + statSync(join(fix.root, 'content', 'ingest', name)).size, 0);
  while (plainBytes() === 0) await pause(5);
  gone.abort(new Error('the client is gone'));
  await assert.rejects(reading, /the client is gone/);
  assert.deepEqual(temporary(fix), []);
});
