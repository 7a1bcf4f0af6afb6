import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from './errors.ts';

test('the kind follows the code, then the status', () => {
  const kind = (status: number, codes: string[] = []): string =>
    new RegistryError('x', { status, codes }).kind;
  assert.equal(kind(404, ['MANIFEST_UNKNOWN']), 'notFound');
  assert.equal(kind(401, ['DENIED']), 'permissionDenied');
  assert.equal(kind(401), 'unauthenticated');
  assert.equal(kind(429, ['TOOMANYREQUESTS']), 'rateLimited');
  assert.equal(kind(404, ['UNKNOWN']), 'internal');
  assert.equal(kind(0), 'internal');
  assert.equal(kind(400, ['OTHER']), 'internal');
});
