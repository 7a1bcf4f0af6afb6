import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../support/command.ts';

const INIT = join(import.meta.dirname, '../../../dist/native/gantry-init');

test('init ends as its command ended', () => {
  const status = (...command: string[]): number | null => spawnSync(INIT, ['--', ...command]).status;
  assert.equal(status('sh', '-c', 'exit 5'), 5);
  assert.equal(status('sh', '-c', 'kill -9 $$'), 137);
  assert.equal(status('/nosuch'), 127);
  assert.equal(status('/etc/passwd'), 126);
  assert.equal(spawnSync(INIT, ['--']).status, 1);
});

test('init hands signals on', async () => {
  const script = 'trap "echo got; exit 7" USR1; echo ready; while :; do sleep 0.05; done';
  const child = spawn(INIT, ['--', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until(async () => (output.includes('ready') ? true : undefined), { what: 'the trap' });
  child.kill('SIGUSR1');
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 7);
  assert.equal(output, 'ready\ngot\n');
});

/** Processes whose parent is `pid`, with their state. */
function childrenOf(pid: number): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [, state, parent] = /\) (\S) (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      return parent === String(pid) && state !== undefined ? [state] : [];
    } catch {
      return [];
    }
  });
}

test('init reaps what its command leaves behind', async () => {
  // As the first process of a PID namespace it inherits every orphan.
  const args = ['--pid', '--fork', '--kill-child', INIT, '--', 'sh', '-c', '(sleep 0.1 &) ; exec sleep 30'];
  const unshare = spawn('unshare', args, { stdio: 'ignore' });
  try {
    const init = await until(
      async () => {
        const list = readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8').trim();
        return list === '' ? undefined : Number(list);
      },
      { what: 'the first process' },
    );
    await until(async () => (childrenOf(init).length === 2 ? true : undefined), { what: 'the orphan' });
    await until(async () => (childrenOf(init).length === 1 ? true : undefined), { what: 'its end' });
    assert.deepEqual(childrenOf(init), ['S']);
  } finally {
    unshare.kill('SIGKILL');
    await once(unshare, 'close');
  }
});
