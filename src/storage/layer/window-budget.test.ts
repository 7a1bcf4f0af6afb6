import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { LIMITS } from '#base/limits.ts';
import { sharedBudget, WindowBudget } from './window-budget.ts';

const MIB = 1024 * 1024;

test('decoders share what LIMITS.unpackWindowBytes allows, and wait for each other beyond it', async () => {
  const shared = sharedBudget(2);
  const [a, b] = [new WindowBudget(shared, 0), new WindowBudget(shared, 1)];
  const half = LIMITS.unpackWindowBytes / 2;
  const first = await a.take(half);
  const second = await b.take(half);
  let third = false;
  const waiting = a.take(MIB).then((release) => {
    third = true;
    return release;
  });
  await turn();
  assert.equal(third, false);
  second();
  second();
  (await waiting)();
  first();
  assert.equal(new Int32Array(shared)[0], 0);
});

test('one decoder alone may take more than all of them together', async () => {
  const shared = sharedBudget(2);
  const [a, b] = [new WindowBudget(shared, 0), new WindowBudget(shared, 1)];
  const large = await a.take(128 * MIB);
  const waiting = b.take(MIB);
  large();
  (await waiting)();
  assert.equal(new Int32Array(shared)[0], 0);
});

test('what a lost thread had goes back', async () => {
  const shared = sharedBudget(2);
  const [a, b] = [new WindowBudget(shared, 0), new WindowBudget(shared, 1)];
  await a.take(LIMITS.unpackWindowBytes);
  const waiting = b.take(MIB);
  a.giveBackAll();
  (await waiting)();
  assert.deepEqual([...new Int32Array(shared)], [0, 0, 0]);
});
