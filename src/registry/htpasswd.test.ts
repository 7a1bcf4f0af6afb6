import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { BcryptHash } from './server/bcrypt.ts';
import { HtpasswdAccess, parseHtpasswd } from './htpasswd.ts';

/** alice: "s3cret ü". */
const FILE = '# people\nalice:$2y$05$ezq9dwg2I3BIMP1g1n2.0.AaJQEr5KDvyu15vLpNxtRJA644Ve15a\n\n';

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

test('names and passwords', async () => {
  const access = new HtpasswdAccess(parseHtpasswd(FILE));
  assert.equal(await access.check(basic('alice', 's3cret ü')), 'granted');
  assert.equal(await access.check(basic('alice', 's3cret ü')), 'granted');
  assert.equal(await access.check(basic('alice', 'wrong')), 'refused');
  assert.equal(await access.check(basic('bob', 's3cret ü')), 'refused');
  // The password that unknown names are checked against opens nothing.
  assert.equal(await access.check(basic('bob', 'U*U')), 'refused');
  for (const header of [undefined, '', 'Basic', 'Basic !', 'Bearer x', basic('', ''), 'Basic YWxpY2U='])
    assert.equal(await access.check(header), 'refused', String(header));
});

test('another file counts at once', async () => {
  const access = new HtpasswdAccess(parseHtpasswd(FILE));
  assert.equal(await access.check(basic('alice', 's3cret ü')), 'granted');
  access.replace(new Map());
  assert.equal(await access.check(basic('alice', 's3cret ü')), 'refused');
});

/** Counts the passwords that are checked. */
class CountingUsers extends Map<string, BcryptHash> {
  checked = 0;

  override get(name: string): BcryptHash | undefined {
    this.checked++;
    return super.get(name);
  }
}

test('what was found out is kept for passwordVerdictMs, and just so much of it', async () => {
  let nowMs = 0;
  const users = new CountingUsers(parseHtpasswd(FILE));
  const verdicts = 3;
  const access = new HtpasswdAccess(users, { nowMs: () => nowMs, verdicts });
  const checks = async (password: string): Promise<number> => {
    const before = users.checked;
    await access.check(basic('alice', password));
    return users.checked - before;
  };
  assert.deepEqual([await checks('first'), await checks('first')], [1, 0]);
  nowMs += LIMITS.passwordVerdictMs - 1;
  assert.equal(await checks('first'), 0);
  nowMs += 1;
  assert.equal(await checks('first'), 1);
  for (const password of ['2', '3']) await checks(password);
  assert.equal(await checks('first'), 0);
  await checks('4');
  assert.equal(await checks('4'), 0);
  assert.equal(await checks('first'), 1, 'the oldest one is forgotten');
});

test('few passwords wait at once', async () => {
  const access = new HtpasswdAccess(parseHtpasswd(FILE));
  const guesses = Array.from({ length: LIMITS.passwordChecks + 3 }, (_, n) =>
    access.check(basic('alice', `${n}`)),
  );
  const verdicts = await Promise.all(guesses);
  assert.equal(verdicts.filter((verdict) => verdict === 'busy').length, 3);
  assert.equal(await access.check(basic('alice', 's3cret ü')), 'granted');
});

test('files that are no password files', () => {
  assert.throws(() => parseHtpasswd('alice:plain\n'), /line 1: not NAME:HASH with a bcrypt hash/);
  assert.throws(() => parseHtpasswd('#\n:x\n'), /line 2/);
  const costly = FILE.replace('$05$', `$${LIMITS.bcryptCost + 1}$`);
  assert.throws(() => parseHtpasswd(costly), /a cost of 15, at most 14/);
  assert.throws(() => parseHtpasswd('#'.repeat(LIMITS.htpasswdBytes + 1)), /more than/);
});
