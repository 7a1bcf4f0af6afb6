import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { TokenCache } from './token-cache.ts';

test('a token holds until its end, and is dropped when it was refused', async () => {
  let nowMs = 0;
  const cache = new TokenCache({ nowMs: () => nowMs });
  await cache.fetch('a', () => Promise.resolve({ header: 'Bearer 1', expiresMs: 100 }));
  assert.equal(cache.get('a'), 'Bearer 1');
  cache.drop('a', 'Bearer 0');
  assert.equal(cache.get('a'), 'Bearer 1');
  nowMs = 100;
  assert.equal(cache.get('a'), null);
  await cache.fetch('a', () => Promise.resolve({ header: 'Bearer 2', expiresMs: Infinity }));
  cache.drop('a', 'Bearer 2');
  assert.equal(cache.get('a'), null);
});

test('who asks at the same time shares the answer, also a bad one', async () => {
  const cache = new TokenCache({ nowMs: () => 0 });
  let asked = 0;
  const ask = (): Promise<never> => {
    asked++;
    return Promise.reject(new Error('no'));
  };
  const all = await Promise.allSettled([cache.fetch('a', ask), cache.fetch('a', ask)]);
  assert.deepEqual([asked, ...all.map(({ status }) => status)], [1, 'rejected', 'rejected']);
  await assert.rejects(cache.fetch('a', ask));
  assert.equal(asked, 2);
});

test('no more than LIMITS.registryTokens are kept, the oldest goes', async () => {
  const cache = new TokenCache({ nowMs: () => 0 });
  for (let i = 0; i <= LIMITS.registryTokens; i++) {
    await cache.fetch(String(i), () => Promise.resolve({ header: String(i), expiresMs: Infinity }));
  }
  assert.equal(cache.get('0'), null);
  assert.equal(cache.get('1'), '1');
});
