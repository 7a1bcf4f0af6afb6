import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { SeccompCache, seccompKey } from './cache.ts';

test('a filter is compiled once for each profile and architecture, and the oldest are forgotten', () => {
  const cache = new SeccompCache(2);
  const profile = (errno: number) => ({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: errno });
  const first = cache.program(profile(1), 'x86_64');
  assert.equal(cache.program(profile(1), 'x86_64'), first);
  const other = cache.program(profile(1), 'aarch64');
  assert.notEqual(other, first);
  assert.equal(cache.program(profile(1), 'x86_64'), first);
  cache.program(profile(2), 'x86_64');
  assert.equal(cache.program(profile(1), 'x86_64'), first);
  assert.notEqual(cache.program(profile(1), 'aarch64'), other);
  assert.notEqual(seccompKey(profile(1), 'x86_64'), seccompKey(profile(2), 'x86_64'));
});

test('as many filters as the limit says are kept', () => {
  const cache = new SeccompCache(LIMITS.seccompPrograms);
  const profile = (errno: number) => ({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: errno });
  const programs = Array.from({ length: LIMITS.seccompPrograms }, (_, i) =>
    cache.program(profile(i), 'x86_64'),
  );
  assert.equal(cache.program(profile(0), 'x86_64'), programs[0]);
  cache.program(profile(4000), 'x86_64');
  assert.equal(cache.program(profile(0), 'x86_64'), programs[0]);
  assert.notEqual(cache.program(profile(1), 'x86_64'), programs[1]);
});
