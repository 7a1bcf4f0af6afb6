import assert from 'node:assert/strict';
import { test } from 'node:test';
import { within } from './run-end.ts';

test('a wait of years is no wait of a millisecond', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve('ended'), 30);
  assert.equal(await within(promise, 3_000_000_000), 'ended');
  assert.equal(await within(new Promise(() => undefined), 1), null);
});
