import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from './statistics.ts';

test('median, p95 and spread of known samples', () => {
  const summary = summarize([4, 1, 3, 2, 5]);
  assert.equal(summary.median, 3);
  assert.equal(summary.min, 1);
  assert.equal(summary.max, 5);
  assert.ok(Math.abs(summary.p95 - 4.8) < 1e-9);
  assert.ok(Math.abs(summary.spreadPercent - 100 / 3) < 1e-9);
});
