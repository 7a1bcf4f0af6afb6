/** Hooks of a plan: what they read, how they fail, how long they may take. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation } from '../../../src/runtime/launch-plan/operations.ts';
import { cannotLaunch, launch, makeRoot, placeOf, smallPlan } from './launch-command.ts';

const { errno } = constants;
const skip = cannotLaunch();

function hook(script: string, options: { timeoutMs?: number; path?: string } = {}): Operation {
  return {
    op: 'hook',
    path: options.path ?? '/bin/sh',
    arguments: ['sh', '-c', script],
    environment: ['PATH=/bin:/usr/bin', 'FOO=bar'],
    timeoutMs: options.timeoutMs ?? 0,
    beforePid: Buffer.from('{"id":"x","pid":'),
    afterPid: Buffer.from(',"annotations":{}}'),
  };
}

test('a hook of the parent reads the state with the pid, and has its own environment', {
  skip,
}, async (t) => {
  const { directory, root } = makeRoot(t);
  const file = join(directory, 'state');
  const script = `cat > ${file}; echo "$FOO $0 $(ls /proc/$$/fd | wc -l)" > ${file}.2`;
  const outcome = await launch(
    directory,
    smallPlan({ root, command: ['/bin/true'], parent: [hook(script)] }),
  );
  assert.deepEqual({ ...outcome, exitCode: 0, failure: undefined }, outcome);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { id: 'x', pid: outcome.pid, annotations: {} });
  // 0, 1, 2, and nothing of the starter's.
  assert.match(readFileSync(`${file}.2`, 'utf8'), /^bar sh [34]\n$/);
});

test('a hook of the child runs in its namespaces and sees its own number there', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const plan = smallPlan({ root, command: ['/bin/true'], child: [hook('cat > /tmp/state')] });
  assert.equal((await launch(directory, plan)).exitCode, 0);
  assert.equal(readFileSync(join(root, 'tmp/state'), 'utf8'), '{"id":"x","pid":1,"annotations":{}}');
});

test('a hook that fails ends the launch with its status', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const cases: readonly (readonly [string, number])[] = [
    ['exit 3', 3 << 8],
    ['kill -9 $$', 9],
  ];
  for (const list of ['parent', 'child'] as const)
    for (const [script, status] of cases) {
      const plan = smallPlan({ root, command: ['/bin/true'], [list]: [hook(script)] });
      const { failure } = await launch(directory, plan);
      const expected = { errno: errno.ECHILD, step: 'hook', object: '/bin/sh', status };
      assert.deepEqual(failure, { ...placeOf(plan, list, 'hook'), ...expected });
    }
});

test('a hook that cannot be executed is a failure of execve', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const plan = smallPlan({ root, command: ['/bin/true'], parent: [hook('', { path: '/absent' })] });
  const { failure } = await launch(directory, plan);
  const expected = { errno: errno.ENOENT, step: 'execve', object: '/absent', status: 0 };
  assert.deepEqual(failure, { ...placeOf(plan, 'parent', 'hook'), ...expected });
});

test('a hook that takes too long is killed with what it has started', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const file = join(directory, 'late');
  const script = `(sleep 0.5; touch ${file}) & sleep 60`;
  const plan = smallPlan({ root, command: ['/bin/true'], parent: [hook(script, { timeoutMs: 100 })] });
  const started = performance.now();
  const { failure } = await launch(directory, plan);
  assert.ok(performance.now() - started < 3000);
  assert.equal(failure?.errno, errno.ETIMEDOUT);
  assert.equal(failure?.step, 'hook');
  await sleep(600);
  assert.ok(!existsSync(file));
});
