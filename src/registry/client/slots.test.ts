import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSlots } from './slots.ts';

const never = new AbortController().signal;

test('turns are given in the order of asking, and once each', async () => {
  const slots = createSlots(() => 1);
  const order: string[] = [];
  const first = await slots.take(never);
  const second = slots.take(never).then((free) => (order.push('second'), free));
  const third = slots.take(never).then((free) => (order.push('third'), free));
  first();
  first();
  const free = await second;
  assert.deepEqual(order, ['second']);
  free();
  (await third)();
  assert.deepEqual(order, ['second', 'third']);
});

test('who gives up leaves the queue; a larger limit is heeded by the next one', async () => {
  let limit = 1;
  const slots = createSlots(() => limit);
  await slots.take(never);
  const gone = new AbortController();
  const waiting = slots.take(gone.signal);
  gone.abort(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  await assert.rejects(slots.take(gone.signal), /gone/);
  limit = 2;
  (await slots.take(never))();
});
