import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { parseChallenges } from './challenge.ts';

const parse = (...headers: string[]): unknown[] =>
  parseChallenges(headers).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test('Bearer with its parameters', () => {
  const header =
    'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"';
  assert.deepEqual(parse(header), [
    [
      'bearer',
      { realm: 'https://auth.example/token', service: 'r.example', scope: 'repository:a/b:pull,push' },
    ],
  ]);
});

test('several demands in one header and in several', () => {
  const both = [
    ['bearer', { realm: 'a', service: 'b' }],
    ['basic', { realm: 'c, "d"' }],
  ];
  assert.deepEqual(parse('Bearer realm=a, service=b, Basic realm="c, \\"d\\""'), both);
  assert.deepEqual(parse('Bearer realm="a" ,service = b', 'BASIC realm="c, \\"d\\""'), both);
  assert.deepEqual(parse('Negotiate, Basic realm="x"'), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
  ]);
});

test('what cannot be read ends the header, and the first of equal names counts', () => {
  assert.deepEqual(parse(''), []);
  assert.deepEqual(parse('Bearer realm="open'), [
    ['bearer', {}],
    ['realm', {}],
  ]);
  assert.deepEqual(parse('Basic realm=a, realm=b'), [['basic', { realm: 'a' }]]);
  assert.deepEqual(parse(`Basic realm="${'x'.repeat(LIMITS.registryHeaderBytes)}"`), []);
});
