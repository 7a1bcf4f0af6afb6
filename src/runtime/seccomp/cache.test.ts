import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { SeccompCache } from './cache.ts';

/** Filters that differ by the error they answer with. */
const answering = (errno: number): SpecSeccomp => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: errno }],
});

test('a filter is compiled once, and the oldest one goes when there are too many', () => {
  const cache = new SeccompCache(LIMITS.seccompPrograms);
  const first = cache.program(answering(1), 'x86_64');
  assert.equal(cache.program(answering(1), 'x86_64'), first);
  assert.notEqual(cache.program(answering(1), 'aarch64'), first);
  for (let errno = 2; errno < LIMITS.seccompPrograms; errno++) {
    cache.program(answering(errno), 'x86_64');
    assert.equal(cache.program(answering(1), 'x86_64'), first);
  }
  // Used all the time, it stays; the one that nobody asked for again is gone.
  const second = cache.program(answering(2), 'x86_64');
  for (let errno = 100; errno <= 100 + LIMITS.seccompPrograms; errno++)
    cache.program(answering(errno), 'x86_64');
  assert.notEqual(cache.program(answering(2), 'x86_64'), second);
});
