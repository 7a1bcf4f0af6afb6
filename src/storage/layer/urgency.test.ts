import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Urgency } from './urgency.ts';

test('the main thread goes first while there is news, and again when there is some again', async () => {
  const told: string[] = [];
  const mainFirst = (): (() => void) => {
    told.push('first');
    return () => void told.push('calm');
  };
  const urgency = new Urgency({ mainFirst, silenceMs: 20 });
  urgency.gotOn();
  urgency.gotOn();
  assert.deepEqual(told, ['first']);
  await pause(200);
  assert.deepEqual(told, ['first', 'calm']);
  urgency.gotOn();
  urgency.end();
  urgency.end();
  assert.deepEqual(told, ['first', 'calm', 'first', 'calm']);
  await pause(100);
  assert.equal(told.length, 4);
});

test('news puts it off', async () => {
  let isFirst = false;
  const mainFirst = (): (() => void) => {
    isFirst = true;
    return () => (isFirst = false);
  };
  const urgency = new Urgency({ mainFirst, silenceMs: 2000 });
  urgency.gotOn();
  for (let n = 0; n < 5; n++) {
    await pause(500);
    urgency.gotOn();
    assert.equal(isFirst, true);
  }
  urgency.end();
  assert.equal(isFirst, false);
});
