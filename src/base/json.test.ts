import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from './json.ts';
import { LIMITS } from './limits.ts';

test('JSON is read to a depth, and no deeper', () => {
  const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  assert.ok(Array.isArray(parseJson(nested(LIMITS.jsonDepth), 'test')));
  assert.throws(() => parseJson(nested(LIMITS.jsonDepth + 1), 'test'), { kind: 'invalidArgument' });
  assert.throws(() => parseJson(nested(1_000_000), 'test'), { kind: 'invalidArgument' });
  assert.equal(parseJson(`"${'['.repeat(1000)}"`, 'test'), '['.repeat(1000));
});
