import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queryInteger } from './query.ts';

test('whole numbers of any size, and nothing else', () => {
  const read = (text: string): number | undefined => queryInteger(new URLSearchParams({ n: text }), 'n');
  assert.equal(queryInteger(new URLSearchParams(), 'n'), undefined);
  assert.equal(read(''), undefined);
  assert.equal(read('+7'), 7);
  assert.equal(read('-7'), -7);
  for (const digits of ['9223372036854775807', '9'.repeat(400)]) {
    assert.equal(read(digits), Number.MAX_SAFE_INTEGER);
    assert.equal(read(`-${digits}`), -Number.MAX_SAFE_INTEGER);
  }
  for (const text of ['x', '1.5', '1e3', '0x10', ' 1', '--1'])
    assert.throws(() => read(text), { kind: 'internal' }, text);
});
