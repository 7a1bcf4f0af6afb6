import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { RegistryError } from '../errors.ts';
import { retryAfterMs, retryDelay, withRetries } from './retry.ts';

const rules = { backoffMs: 1000, random: () => 0.5 };
const failure = (status: number, more: object = {}): RegistryError =>
  new RegistryError('x', { status, ...more });

test('the pauses double, up to a bound, and spread', () => {
  const delays = [1, 2, 3, 4, 5, 6].map((attempt) => retryDelay(failure(0), attempt, rules));
  assert.deepEqual(delays, [1000, 2000, 4000, 8000, LIMITS.registryBackoffMs, LIMITS.registryBackoffMs]);
  assert.equal(retryDelay(failure(0), 1, { ...rules, random: () => 0 }), 800);
  assert.equal(retryDelay(failure(0), 1, { ...rules, random: () => 1 }), 1200);
});

test('what is repeated and what is not', () => {
  for (const status of [0, 408, 429, 500, 502, 503, 504])
    assert.notEqual(retryDelay(failure(status), 1, rules), null);
  for (const status of [400, 401, 403, 404, 416, 501])
    assert.equal(retryDelay(failure(status), 1, rules), null);
  assert.equal(retryDelay(failure(0, { permanent: true }), 1, rules), null);
  assert.equal(retryDelay(failure(429, { codes: ['TOOMANYREQUESTS'] }), 1, rules), null);
  assert.equal(retryDelay(failure(429, { codes: ['TOOMANYREQUESTS'], retryAfterMs: 5 }), 1, rules), 5);
  assert.equal(retryDelay(new Error('x'), 1, rules), null);
});

test('Retry-After in seconds and as a date, at most LIMITS.retryAfterMs', () => {
  assert.equal(retryAfterMs(undefined), null);
  assert.equal(retryAfterMs('soon'), null);
  assert.equal(retryAfterMs(' 3 '), 3000);
  assert.equal(retryAfterMs('9999999'), LIMITS.retryAfterMs);
  assert.equal(retryAfterMs('-5'), 0);
  const date = 'Sat, 21 Nov 2026 20:00:10 GMT';
  assert.equal(retryAfterMs(date, Date.parse(date) - 4000), 4000);
  assert.equal(retryAfterMs(date, Date.parse(date) + 4000), 0);
});

test('attempts end with the last failure, or with their caller', async () => {
  let attempts = 0;
  const attempt = (): Promise<never> => {
    attempts++;
    return Promise.reject(failure(500));
  };
  const quick = { tries: 3, backoffMs: 1, random: () => 0.5 };
  await assert.rejects(withRetries({ ...quick, signal: new AbortController().signal }, attempt), {
    status: 500,
  });
  assert.equal(attempts, 3);
  const left = AbortSignal.abort(new Error('left'));
  await assert.rejects(withRetries({ ...quick, signal: left }, attempt), /left/);
});
