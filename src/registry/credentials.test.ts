import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRegistryAuth } from './credentials.ts';

const header = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const NONE = { username: '', password: '', identityToken: '', registryToken: '', serverAddress: '' };

test('user and password, the two tokens, and the address', () => {
  assert.deepEqual(decodeRegistryAuth(header({ username: 'u', password: 'p', serveraddress: 'r:5000' })), {
    ...NONE,
    username: 'u',
    password: 'p',
    serverAddress: 'r:5000',
  });
  assert.deepEqual(decodeRegistryAuth(header({ identitytoken: 't' })), { ...NONE, identityToken: 't' });
  assert.deepEqual(decodeRegistryAuth(header({ registrytoken: 't' })), { ...NONE, registryToken: 't' });
});

test('`auth` is taken apart, and names are read whatever their case', () => {
  const auth = Buffer.from('u:p:q').toString('base64');
  assert.deepEqual(decodeRegistryAuth(header({ auth })), { ...NONE, username: 'u', password: 'p:q' });
  assert.deepEqual(decodeRegistryAuth(header({ Username: 'u' })), { ...NONE, username: 'u' });
});

test('both alphabets of base64, with padding and without', () => {
  const text = JSON.stringify({ username: 'ü??>>', password: 'p' });
  const same = { ...NONE, username: 'ü??>>', password: 'p' };
  assert.deepEqual(decodeRegistryAuth(Buffer.from(text).toString('base64')), same);
  assert.deepEqual(decodeRegistryAuth(Buffer.from(text).toString('base64url')), same);
});

test('what says nothing usable is none', () => {
  for (const bad of ['', 'not base64!', header({}), header(null), header([1]), header('x'), 'e30=']) {
    assert.equal(decodeRegistryAuth(bad), null, bad);
  }
  assert.equal(decodeRegistryAuth(header({ username: 7, password: {} })), null);
});
