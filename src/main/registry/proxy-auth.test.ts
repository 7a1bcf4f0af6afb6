import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { readProxyAuth } from './proxy-auth.ts';

async function read(text: string, mode = 0o600): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gt-proxy-auth-'));
  try {
    const file = join(folder, 'auth');
    await writeFile(file, text);
    await chmod(file, mode);
    const { username, password } = await readProxyAuth(file);
    return `${username} ${password}`;
  } catch (error) {
    assert.ok(error instanceof EngineError);
    assert.ok(!error.message.includes('hunter2'), 'an error shows no password');
    return error.message.replace(folder, '');
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a user and a password in a file that nobody else may read', async () => {
  assert.equal(await read('alice:hunter2\n'), 'alice hunter2');
  assert.equal(await read('alice:with:colons and blanks'), 'alice with:colons and blanks');
  const refused = 'credentials for the upstream registry: /auth: ';
  assert.equal(await read('alice:hunter2', 0o640), `${refused}others may read it (mode 640)`);
  assert.equal(await read('alice:hunter2', 0o604), `${refused}others may read it (mode 604)`);
  for (const text of ['', 'alice', ':hunter2', 'alice:hunter2\nbob:hunter2\n'])
    assert.equal(await read(text), `${refused}not one line "user:password"`);
  const long = `alice:${'x'.repeat(LIMITS.proxyAuthBytes)}`;
  assert.equal(await read(long), `${refused}more than ${LIMITS.proxyAuthBytes} bytes`);
  await assert.rejects(readProxyAuth('/nowhere/auth'), /ENOENT/);
  await assert.rejects(readProxyAuth('/dev/null'), /not a file/);
});
