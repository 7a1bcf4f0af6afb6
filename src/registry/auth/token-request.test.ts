import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from './challenge.ts';
import { readToken, refreshForm, tokenQuery, tokenWish } from './token-request.ts';

const clock = { nowMs: () => 1000 };
const read = (value: unknown): ReturnType<typeof readToken> =>
  readToken(Buffer.from(JSON.stringify(value)), clock);

test('the scopes are ours and those that were demanded, each once', () => {
  const [demand] = parseChallenges([
    'Bearer realm="x",service="s",scope="repository:a:pull repository:b:pull"',
  ]);
  assert.ok(demand);
  const wish = tokenWish(demand, ['repository:a:pull'], false);
  assert.deepEqual(wish, {
    service: 's',
    scopes: ['repository:a:pull', 'repository:b:pull'],
    offline: false,
  });
  const url = tokenQuery(new URL('https://a.example/token?x=1'), wish, null);
  assert.equal(
    url.href,
    'https://a.example/token?x=1&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull&service=s',
  );
  assert.match(refreshForm(wish, 'r/t'), /grant_type=refresh_token&refresh_token=r%2Ft&scope=repository/);
});

test('a token under either name, with an end and without', () => {
  assert.deepEqual(read({ token: 't' }), { token: 't', refreshToken: '', expiresMs: 51_000 });
  assert.equal(read({ access_token: 't', expires_in: 300 })?.expiresMs, 291_000);
  assert.equal(read({ token: 't', expires_in: 1 })?.expiresMs, 51_000);
  assert.equal(read({ token: 't', refresh_token: 'r' })?.refreshToken, 'r');
});

test('what is no token', () => {
  for (const bad of [{}, [], { token: '' }, { token: 'a b' }, { token: 'a\r\nX: y' }, { token: 7 }]) {
    assert.equal(read(bad), null);
  }
  assert.throws(() => readToken(Buffer.from('{'), clock));
});
