import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextHop, resolveLocation } from './redirects.ts';

const strict = { allowPlain: false };
const hop = (method: string, status: number, location: string): unknown => {
  const url = new URL('https://r.example/v2/');
  const next = nextHop({ method, status, location, url, hasSecretBody: false }, strict);
  return typeof next === 'string' ? next : [next.url.href, next.keepsAuthorization, next.keepsBody];
};

test('Authorization goes to the same scheme, host and port alone', () => {
  assert.deepEqual(hop('GET', 307, '/x'), ['https://r.example/x', true, true]);
  assert.deepEqual(hop('GET', 302, 'https://r.example:444/x'), ['https://r.example:444/x', false, false]);
  assert.deepEqual(hop('GET', 302, 'https://s.example/x'), ['https://s.example/x', false, false]);
  assert.deepEqual(hop('GET', 302, 'https://u:p@r.example/x'), ['https://r.example/x', true, false]);
});

test('no step down from TLS, but for the host that forgot that it has it', () => {
  assert.match(String(hop('GET', 302, 'http://s.example/x')), /refused to follow/);
  assert.deepEqual(hop('GET', 302, 'http://r.example/x'), ['https://r.example/x', true, false]);
  const url = resolveLocation(new URL('https://r.example/'), 'http://s.example/', { allowPlain: true });
  assert.equal(String(url), 'http://s.example/');
  assert.equal(
    String(resolveLocation(new URL('http://r.example/'), 'http://s.example/', strict)),
    'http://s.example/',
  );
});

test('what is no address, and methods that may not be repeated elsewhere', () => {
  assert.match(String(hop('GET', 302, 'ftp://r.example/')), /unsupported protocol scheme "ftp"/);
  assert.match(String(hop('GET', 302, 'https://:x')), /failed to parse Location/);
  assert.match(String(hop('POST', 302, '/x')), /302 response to a POST/);
  assert.deepEqual(hop('PUT', 307, 'https://s.example/x'), ['https://s.example/x', false, true]);
});

test('a body with credentials goes to the same scheme, host and port alone', () => {
  const from = { method: 'POST', status: 307, url: new URL('https://r.example/token'), hasSecretBody: true };
  const next = (location: string): unknown => nextHop({ ...from, location }, { allowPlain: true });
  assert.equal((next('/other') as { keepsBody: boolean }).keepsBody, true);
  for (const location of ['https://s.example/x', 'https://r.example:444/x', 'http://s.example/x']) {
    assert.equal(
      next(location),
      `refused to follow a redirect with credentials to ${new URL(location).origin}`,
    );
  }
});
