import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killPulls } from './pulls.ts';
import { killPushes } from './pushes.ts';

test('kills in the middle of pulls lose nothing and fetch nothing twice', { timeout: 200_000 }, async () => {
  const { violations } = await killPulls({ kills: 4, seed: 7 });
  assert.deepEqual(violations, []);
});

test('kills in the middle of pushes lose nothing', { timeout: 200_000 }, async () => {
  const { violations } = await killPushes({ kills: 4, seed: 7 });
  assert.deepEqual(violations, []);
});
