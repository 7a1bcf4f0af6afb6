import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bcrypt, parseBcryptHash } from './bcrypt.ts';

/** Published vectors of OpenBSD's and John the Ripper's tests, and what `htpasswd -nbB` printed. */
const VECTORS: readonly (readonly [string, string])[] = [
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['U*U*U', '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'],
  ['s3cret ü', '$2y$05$ezq9dwg2I3BIMP1g1n2.0.AaJQEr5KDvyu15vLpNxtRJA644Ve15a'],
];
/** More than the 72 bytes that count. */
const LONG = ['x'.repeat(100), '$2y$06$PdaDzM/ga1bxhthArZIYKOyGJ2KK8nTFwb99cubqU8RLHEvgX1EiS'] as const;

test('passwords are checked against hashes that others made', async () => {
  const bcrypt = new Bcrypt();
  for (const [password, text] of VECTORS) {
    const hash = parseBcryptHash(text);
    if (hash === null) throw new Error(`not a hash: ${text}`);
    assert.equal(await bcrypt.verify(password, hash), true, text);
    assert.equal(await bcrypt.verify(`${password}x`, hash), false, text);
  }
  const long = parseBcryptHash(LONG[1]);
  assert.ok(long !== null && (await bcrypt.verify(LONG[0], long)) && !(await bcrypt.verify('x', long)));
});

test('what is no bcrypt hash is told apart', () => {
  for (const text of [
    '',
    'plain',
    '$apr1$x$y',
    '$2y$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
  ])
    assert.equal(parseBcryptHash(text), null, text);
});
