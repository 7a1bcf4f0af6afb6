import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRefusal } from './answer-error.ts';

const text = (status: number, body: unknown, type = 'application/json'): string =>
  readRefusal(status, type, typeof body === 'string' ? body : JSON.stringify(body)).text;
const one = (error: object): object => ({ errors: [error] });

test('a code alone, with a detail, and with a message of its own', () => {
  const code = 'MANIFEST_UNKNOWN';
  assert.equal(text(404, one({ code, message: 'manifest unknown' })), 'manifest unknown');
  assert.equal(text(404, one({ code, detail: null })), 'manifest unknown');
  assert.equal(
    text(404, one({ code, message: 'manifest unknown', detail: {} })),
    'manifest unknown: manifest unknown',
  );
  assert.equal(text(403, one({ code: 'DENIED', message: 'quota gone' })), 'denied: quota gone');
  assert.equal(text(403, one({ code: 'STRANGE', message: 'x' })), 'unknown: x');
  assert.equal(
    text(403, one({ code: 'DENIED', detail: [] })),
    'denied: requested access to the resource is denied',
  );
});

test('several errors, the older form, and what is no JSON', () => {
  const errors = [{ code: 'DENIED' }, { code: 'NAME_UNKNOWN', message: 'x' }];
  assert.equal(text(403, { errors }), 'errors:\ndenied\nname unknown: x\n');
  assert.equal(text(401, { details: 'incorrect' }), 'unauthorized: incorrect');
  assert.equal(text(418, 'teapot body', 'text/plain'), 'unknown: teapot body');
  assert.equal(
    text(400, {}),
    'error parsing HTTP 400 response body: no error details found in HTTP response body: "{}"',
  );
  assert.match(text(400, '<html>'), /invalid character '<' looking for beginning of value: "<html>"$/);
  assert.match(text(404, ''), /unexpected end of JSON input: ""$/);
  assert.equal(text(401, ''), 'unauthorized: authentication required');
});
