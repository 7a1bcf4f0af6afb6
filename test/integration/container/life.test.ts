import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';

test('the container room on the real kernel, in a network namespace of its own', {
  timeout: 120_000,
}, async () => {
  const env = { ...process.env };
  delete env['NODE_TEST_CONTEXT'];
  const child = spawn(
    'unshare',
    [
      '--net',
      '--',
      process.execPath,
      '--test-reporter=spec',
      '--test-force-exit',
      join(import.meta.dirname, 'in-namespace.ts'),
    ],
    {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exit = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(exit, 0, output);
});
