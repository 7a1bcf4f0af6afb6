import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from './limits.ts';
import { giveBack } from './give-back.ts';
import { TurnShare } from './turn-share.ts';

/** How many turns of the event loop pass while the work is done. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    if (isOver) return;
    turns++;
    setImmediate(count);
  };
  setImmediate(count);
  await work();
  isOver = true;
  return turns;
}

async function* ready(pieces: number, bytes: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < pieces; i++) yield Buffer.alloc(bytes);
}

async function taken(source: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    giveBack(piece);
  }
  return bytes;
}

test('what lies ready is taken a share at a time, with a turn for others in between', async () => {
  const piece = 64 * 1024;
  const pieces = (10 * LIMITS.turnBytes) / piece;
  assert.equal(await turnsOf(() => taken(ready(pieces, piece))), 0);
  const share = new TurnShare(LIMITS.turnBytes);
  let bytes = 0;
  const turns = await turnsOf(async () => (bytes = await taken(share.slowed(ready(pieces, piece)))));
  assert.equal(bytes, pieces * piece);
  assert.ok(turns >= 9, `${turns} turns`);
});

test('all connections together have one share', async () => {
  const share = new TurnShare(1000);
  const each = (): Promise<number> => taken(share.slowed(ready(10, 500)));
  const turns = await turnsOf(() => Promise.all([each(), each(), each(), each()]));
  assert.ok(turns >= 8, `${turns} turns`);
});

test('memory is given back at once; that of a part is not', () => {
  const whole = Buffer.alloc(100_000);
  const part = whole.subarray(1);
  giveBack(part);
  assert.equal(part.length, 99_999);
  giveBack(whole);
  assert.equal(whole.length, 0);
  assert.equal(part.length, 0);
  giveBack(whole);
  giveBack(new Uint8Array(new SharedArrayBuffer(8)));
});
