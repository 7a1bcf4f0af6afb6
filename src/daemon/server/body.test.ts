import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBytes } from './body.ts';

async function* pieces(count: number, piece: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield Buffer.from(piece);
}

test('a body comes whole, whatever its pieces, and no larger than it may', async () => {
  assert.equal((await readBytes(pieces(0, Buffer.alloc(0)), 10)).length, 0);
  for (const [count, text] of [
    [1, 'x'.repeat(10_000)],
    [5000, 'ab'],
  ] as const) {
    const body = await readBytes(pieces(count, Buffer.from(text)), 10_000);
    assert.equal(body.toString(), text.repeat(count));
  }
  await assert.rejects(readBytes(pieces(5001, Buffer.from('ab')), 10_000), { kind: 'tooLarge' });
});

test('a body in pieces of one byte costs what it weighs', async () => {
  const before = process.memoryUsage.rss();
  const body = await readBytes(pieces(200_000, Buffer.from('x')), 2_000_000);
  assert.equal(body.length, 200_000);
  const grownMb = (process.memoryUsage.rss() - before) / 1e6;
  assert.ok(grownMb < 50, `${Math.round(grownMb)} MB`);
});

test('while a body comes in pieces of one byte, others have their turn', async () => {
  let turns = 0;
  let isRead = false;
  const turn = (): void => {
    turns += 1;
    if (!isRead) setImmediate(turn);
  };
  setImmediate(turn);
  await readBytes(pieces(20_000, Buffer.from('x')), 20_000);
  isRead = true;
  assert.ok(turns > 100, `${turns} turns`);
});
