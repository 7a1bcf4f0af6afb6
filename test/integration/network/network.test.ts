import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

/**
 * The real thing needs a network that may be broken: the tests run in a namespace of their own, which takes
 * all away with it.
 */
test('the network on the real kernel', { timeout: 120_000 }, async () => {
  const file = join(import.meta.dirname, 'in-namespace.ts');
  const env = { ...process.env };
  delete env['NODE_TEST_CONTEXT'];
  const child = spawn(
    'unshare',
    ['--net', '--', process.execPath, '--test-reporter=spec', '--test-force-exit', file],
    { env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0, output);
});
