import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IntakeWriter } from './intake-writer.ts';

const MIB = 1024 * 1024;

/** Takes what is appended when it is let; never two calls at once. */
class SlowIntake {
  readonly writes: Buffer[] = [];
  #isBusy = false;
  open: PromiseWithResolvers<void> | null = null;

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    assert.equal(this.#isBusy, false);
    this.#isBusy = true;
    await this.open?.promise;
    this.writes.push(Buffer.concat(chunks));
    this.#isBusy = false;
  }
}

function numbered(bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) all.writeUInt32LE(at, at);
  return all;
}

test('pieces of any size arrive in order, in large writes, and may be used again at once', async () => {
  const intake = new SlowIntake();
  let written = 0;
  const writer = new IntakeWriter(intake, (bytes) => (written += bytes));
  const all = numbered(3 * MIB + 17);
  for (let at = 0, size = 1; at < all.length; at += size, size = (size * 7) % 300_000) {
    size = Math.max(size, 1);
    const piece = Buffer.from(all.subarray(at, at + size));
    await writer.add(piece);
    piece.fill(0xff);
  }
  await writer.end();
  await writer.stop();
  assert.deepEqual(Buffer.concat(intake.writes), all);
  assert.equal(written, all.length);
  assert.ok(intake.writes.slice(0, -1).every(({ length }) => length >= 256 * 1024));
});

test('whoever is a megabyte ahead of the disk waits for it', async () => {
  const intake = new SlowIntake();
  intake.open = Promise.withResolvers();
  const writer = new IntakeWriter(intake);
  let added = 0;
  const adding = (async () => {
    for (let i = 0; i < 32; i++, added++) await writer.add(Buffer.alloc(MIB / 8));
    await writer.end();
  })();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(added < 8, `${added} pieces are taken`);
  intake.open.resolve();
  await adding;
  await writer.stop();
  assert.equal(Buffer.concat(intake.writes).length, 4 * MIB);
});

test('an error of the disk is told to the next who adds, and nothing is written afterwards', async () => {
  let calls = 0;
  const append = (): Promise<void> => {
    calls++;
    return Promise.reject(new Error('ENOSPC'));
  };
  const writer = new IntakeWriter({ append });
  await assert.rejects(async () => {
    for (let i = 0; i < 8; i++) await writer.add(Buffer.alloc(MIB / 4));
  }, /ENOSPC/);
  await assert.rejects(writer.end(), /ENOSPC/);
  await writer.stop();
  assert.equal(calls, 1);
});

test('so is one of whoever is told what was written', async () => {
  const writer = new IntakeWriter(new SlowIntake(), () => {
    throw new Error('nobody listens');
  });
  await writer.add(Buffer.alloc(MIB / 4));
  // A rejection that nobody waits for would end the process here.
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(writer.end(), /nobody listens/);
  await writer.stop();
});

test('a small blob gets small buffers, and one that brings more than it said arrives all the same', async () => {
  for (const [sizeBytes, haveBytes, comes] of [
    [1000, 0, 1000],
    [1000, 900, 100],
    [1000, 0, 5000],
    [0, 0, 3],
    [600_000, 0, 600_000],
  ] as const) {
    const intake = Object.assign(new SlowIntake(), { sizeBytes, haveBytes });
    const writer = new IntakeWriter(intake);
    const all = numbered(comes);
    await writer.add(all);
    await writer.end();
    await writer.stop();
    assert.deepEqual(Buffer.concat(intake.writes), all);
  }
});
