import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { until } from './command.ts';
import { killProcessesNaming, processesNaming } from './leaks.ts';

test('a process that is left in a task folder is found, as a shim would be', async () => {
  const root = await mkdtemp('/tmp/gt-left-');
  const task = `${root}/tasks/one`;
  await mkdir(task, { recursive: true });
  const left = spawn('sleep', ['600'], { cwd: task, stdio: 'ignore' });
  const other = spawn('sleep', ['600'], { cwd: root, stdio: 'ignore' });
  const ended = new Promise((resolve) => left.once('exit', (_code, signal) => resolve(signal)));
  try {
    const found = async (): Promise<number[]> => processesNaming(`${root}/tasks`);
    await until(async () => ((await found()).length > 0 ? true : undefined), { what: 'the process' });
    assert.deepEqual(await found(), [left.pid]);
    await killProcessesNaming(`${root}/tasks`);
    assert.equal(await ended, 'SIGKILL');
    assert.equal(other.exitCode, null);
  } finally {
    left.kill('SIGKILL');
    other.kill('SIGKILL');
    await rm(root, { recursive: true });
  }
});
