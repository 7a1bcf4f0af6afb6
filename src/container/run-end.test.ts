import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry, RunEnd } from './record/ledger.ts';
import { ended, within } from './run-end.ts';

test('a wait of years is no wait of a millisecond', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve('ended'), 30);
  assert.equal(await within(promise, 3_000_000_000), 'ended');
  assert.equal(await within(new Promise(() => undefined), 1), null);
});

test('however many ask for the end of a run, one listener waits for it', async () => {
  const entry: Pick<Entry, 'end' | 'onEnd'> = { end: null, onEnd: new Set<(end: RunEnd) => void>() };
  const first = ended(entry);
  for (let i = 0; i < 100; i++) assert.equal(ended(entry), first);
  assert.equal(entry.onEnd.size, 1);
  for (const notify of [...entry.onEnd]) notify({ exitCode: 3, error: '' });
  assert.deepEqual(await first, { exitCode: 3, error: '' });
  assert.equal(entry.onEnd.size, 0);
  assert.notEqual(ended(entry), first, 'the next run has an end of its own');
});
