import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { LIMITS } from '#base/limits.ts';
import { WindowBudget } from './window-budget.ts';

const MIB = 1024 * 1024;
const SMALL = LIMITS.smallWindowBytes;
/** The largest that an archive may have. */
const LARGEST = 128 * MIB;

/** A budget, who has something of it in the order in which they got it, and names for who asks. */
function counted(patienceMs?: number): {
  readonly budget: WindowBudget;
  readonly given: string[];
  readonly ask: (name: string, bytes: number) => object;
} {
  const budget = new WindowBudget(patienceMs === undefined ? {} : { patienceMs });
  const given: string[] = [];
  const ask = (name: string, bytes: number): object => {
    const holder = {};
    budget.ask({ holder, bytes, onGiven: () => given.push(name) });
    return holder;
  };
  return { budget, given, ask };
}

test('small windows are there for the asking', () => {
  const { budget, given, ask } = counted();
  for (let n = 0; n < 6; n++) ask(`${n}`, SMALL);
  assert.equal(given.length, 6);
  assert.equal(budget.isTight, false);
});

test('beside a large window small ones take turns, and it waits until they are few', () => {
  const { budget, given, ask } = counted();
  const small = ['a', 'b', 'c'].map((name) => ask(name, SMALL));
  const large = ask('large', LARGEST);
  const late = ask('late', SMALL);
  assert.deepEqual(given, ['a', 'b', 'c']);
  assert.equal(budget.isTight, true);
  for (const holder of small.slice(0, 2)) budget.giveBack(holder);
  assert.deepEqual(given.slice(3), ['large']);
  budget.giveBack(small[2] as object);
  assert.deepEqual(given.slice(4), ['late']);
  ask('later', SMALL / 2);
  budget.giveBack(late);
  assert.deepEqual(given.slice(5), ['later']);
  ask('last', SMALL);
  budget.giveBack(large);
  assert.deepEqual(given.slice(6), ['last']);
  assert.equal(budget.isTight, false);
});

test('large windows share LIMITS.unpackWindowBytes with a small one, first come first served', () => {
  const { budget, given, ask } = counted();
  const room = LIMITS.unpackWindowBytes - SMALL;
  const halves = ['a', 'b'].map((name) => ask(name, room / 2));
  const whole = ask('whole', room);
  const third = ask('third', room / 2);
  assert.deepEqual(given, ['a', 'b']);
  budget.giveBack(halves[0] as object);
  assert.deepEqual(given, ['a', 'b'], 'the one before is waited for');
  budget.giveBack(halves[1] as object);
  assert.deepEqual(given, ['a', 'b', 'whole']);
  budget.giveBack(whole);
  budget.giveBack(whole);
  assert.deepEqual(given, ['a', 'b', 'whole', 'third']);
  budget.giveBack(third);
  assert.equal(budget.isTight, false);
});

test('whoever asks again, or leaves while it waits, has nothing of what was before', () => {
  const { budget, given, ask } = counted();
  const first = ask('first', LARGEST);
  const gone = ask('gone', LARGEST);
  ask('next', LARGEST);
  budget.giveBack(gone);
  budget.ask({ holder: first, bytes: SMALL, onGiven: () => given.push('first again') });
  assert.deepEqual(given, ['first', 'next', 'first again']);
});

test('small windows that stay open hold a large one up for LIMITS.windowPatienceMs', async () => {
  const { budget, given, ask } = counted(20);
  const small = ['a', 'b', 'c'].map((name) => ask(name, SMALL));
  const one = ask('one', LARGEST);
  ask('two', LARGEST);
  assert.deepEqual(given, ['a', 'b', 'c']);
  await pause(100);
  assert.deepEqual(given, ['a', 'b', 'c', 'one'], 'other large ones are waited for');
  for (const holder of small) budget.giveBack(holder);
  budget.giveBack(one);
  assert.deepEqual(given.slice(4), ['two']);
});
