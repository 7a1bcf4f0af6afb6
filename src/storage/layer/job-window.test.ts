import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { JobWindow } from './job-window.ts';

const LARGE = LIMITS.smallWindowBytes + 1;

function jobWindow(): {
  readonly window: JobWindow;
  readonly asked: number[];
  readonly controller: AbortController;
  readonly released: () => number;
} {
  const asked: number[] = [];
  const controller = new AbortController();
  let released = 0;
  const window = new JobWindow({
    ask: (bytes) => void asked.push(bytes),
    signal: controller.signal,
    memory: { release: () => void released++ },
  });
  return { window, asked, controller, released: () => released };
}

test('a window is asked for, waited for and given back once', async () => {
  const { window, asked, released } = jobWindow();
  const coming = window.take(LIMITS.smallWindowBytes);
  assert.deepEqual(asked, [LIMITS.smallWindowBytes]);
  window.given();
  const release = await coming;
  release();
  release();
  assert.deepEqual(asked, [LIMITS.smallWindowBytes, 0]);
  assert.equal(released(), 0);
});

test('memory is released for a large one', async () => {
  const { window, released } = jobWindow();
  const coming = window.take(LARGE);
  assert.equal(released(), 0);
  window.given();
  const release = await coming;
  assert.equal(released(), 1);
  release();
});

test('a job that is cancelled waits no longer', async () => {
  const { window, controller, released } = jobWindow();
  const coming = window.take(LARGE);
  controller.abort(new Error('nobody wants it'));
  await assert.rejects(coming, /nobody wants it/);
  await assert.rejects(window.take(LARGE), /nobody wants it/);
  window.given();
  assert.equal(released(), 0);
});
