import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeEnvironment } from './change-environment.ts';

test('a new value replaces the first of a key, the last is read', () => {
  const env = new ChangeEnvironment(['A=1', 'B', 'A=2', 'C=x=y']);
  assert.deepEqual([env.get('A'), env.get('B'), env.get('C'), env.get('D')], ['2', '', 'x=y', undefined]);
  env.set('A', '3');
  env.set('B', '4');
  env.set('D', '5');
  assert.deepEqual(env.list, ['A=3', 'B=4', 'A=2', 'C=x=y', 'D=5']);
  assert.deepEqual([env.get('A'), env.get('B'), env.get('D')], ['2', '4', '5']);
});

test('a name with an equals sign is the key before it, and never found by itself', () => {
  const env = new ChangeEnvironment(['A=1']);
  env.set('A=b', '2');
  env.set('A=b', '3');
  assert.deepEqual(env.list, ['A=1', 'A=b=2', 'A=b=3']);
  assert.equal(env.get('A'), 'b=3');
});
