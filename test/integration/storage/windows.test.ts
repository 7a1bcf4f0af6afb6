import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { constants, createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib';
import { isEngineError } from '#base/errors.ts';
import { digestOf } from '#oci/digest.ts';
import type { Intake } from '#storage/intake.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';
import type { Storage } from '#storage/storage.ts';
import { zstdWindowBytes } from '../../../src/storage/layer/zstd-frame.ts';
import { tar } from './archive-builder.ts';
import { fixture } from './storage-fixture.ts';

const MIB = 1024 * 1024;
/** Who is held up waits for ever, or for `LIMITS.windowPatienceMs`, which is longer. */
const SOON = { timeout: 25_000 };

type Pack = (plain: Buffer) => Buffer | Promise<Buffer>;

/** 128 MiB. An encoder that does not know how much will come leaves it at that. */
async function withLargestWindow(plain: Buffer): Promise<Buffer> {
  const encoder = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
  const packed = buffer(encoder);
  await new Promise((resolve) => encoder.write(plain.subarray(0, MIB / 4), resolve));
  encoder.end(plain.subarray(MIB / 4));
  const bytes = await packed;
  assert.equal(zstdWindowBytes(bytes), 128 * MIB);
  return bytes;
}

interface Coming {
  readonly stored: Buffer;
  readonly intake: Intake;
  readonly unpacked: Promise<UnpackedLayer>;
  readonly abort: AbortController;
}

async function begin(storage: Storage, pack: Pack): Promise<Coming> {
  const plain = tar([{ name: 'f', content: randomBytes(MIB / 4).toString('hex') }]);
  const stored = await pack(plain);
  const digest = digestOf(stored);
  const intake = await storage.intakes.open({ digest, sizeBytes: stored.length });
  const bytes = { growing: intake.file, digest };
  const abort = new AbortController();
  const unpacked = storage.snapshotter.unpack({ bytes, diffId: digestOf(plain), signal: abort.signal });
  unpacked.catch(() => undefined);
  return { stored, intake, unpacked, abort };
}

async function finish({ intake, stored, unpacked }: Coming): Promise<void> {
  await intake.append([stored.subarray(intake.haveBytes)]);
  intake.end();
  await (await unpacked).discard();
  await intake.close('discard');
}

/** All but its last bytes are there, for as long as its source wants. */
async function stall(storage: Storage): Promise<Coming> {
  const coming = await begin(storage, withLargestWindow);
  await coming.intake.append([coming.stored.subarray(0, -1000)]);
  return coming;
}

test('a source that stalls in a layer with the largest window holds nobody up', SOON, async (t) => {
  const { storage } = await fixture(t);
  const stalled = await stall(storage);
  for (const pack of [gzipSync, zstdCompressSync, withLargestWindow, withLargestWindow])
    await finish(await begin(storage, pack));
  await finish(stalled);
});

test('layers with the largest window, and others beside them, all come to their end', SOON, async (t) => {
  const { storage } = await fixture(t);
  const packs = [withLargestWindow, gzipSync, withLargestWindow, zstdCompressSync, withLargestWindow];
  const coming = await Promise.all(packs.map((pack) => begin(storage, pack)));
  await Promise.all(coming.map(finish));
});

test(
  'one that is cancelled, or whose source fails, before its window is open leaves the budget whole',
  SOON,
  async (t) => {
    const { storage } = await fixture(t);
    const [cancelled, failed] = [await stall(storage), await stall(storage)];
    cancelled.abort.abort(new Error('nobody wants it'));
    cancelled.intake.fail();
    failed.intake.fail();
    await assert.rejects(cancelled.unpacked, /nobody wants it/);
    await assert.rejects(failed.unpacked, (error) => isEngineError(error, 'unavailable'));
    for (const { intake } of [cancelled, failed]) await intake.close('discard');
    await finish(await begin(storage, withLargestWindow));
  },
);
