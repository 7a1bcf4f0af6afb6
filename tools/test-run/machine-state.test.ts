import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLeaks, machineState } from './machine-state.ts';

test('what was not there before is a leak, what was there is not', async () => {
  const state = machineState();
  assert.ok(state.has('mount /proc') && state.has('link lo'));
  const before = new Set([...state].filter((line) => line !== 'link lo'));
  const leaks = await findLeaks(before, 0);
  assert.ok(leaks.includes('link lo') && !leaks.includes('mount /proc'));
});
