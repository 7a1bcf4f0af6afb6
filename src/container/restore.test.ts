import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerStatus, RunState } from './record.ts';
import type { Entry } from './record/ledger.ts';
import type { RunningState } from './record/running-state.ts';
import { judge } from './restore.ts';

const STATE: RunState = {
  status: 'running',
  pid: 7,
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: '2024-01-01T00:00:00Z',
  finishedAt: '',
};
const intent = (phase: RunningState['phase']): RunningState => ({
  phase,
  bootId: 'b',
  state: STATE,
  sandbox: null,
  stopRequested: false,
});
const entry = (status: ContainerStatus): Entry =>
  ({ record: { state: { ...STATE, status } } }) as unknown as Entry;
const exit = { exitCode: 3, oomKilled: false, exitedAtNanos: 5n };
const running = { state: 'running' as const, pid: 9, startTime: 1, startedAtNanos: 1n };

test('a live task runs, whatever the record and the intent say', () => {
  for (const phase of ['starting', 'running', 'ended'] as const) {
    assert.equal(judge({ entry: entry('created'), intent: intent(phase), task: running }, 0n).kind, 'runs');
  }
  assert.equal(judge({ entry: entry('exited'), intent: null, task: running }, 0n).kind, 'runs');
});

test('an end that the shim recorded is the true one', () => {
  const verdict = judge(
    {
      entry: entry('created'),
      intent: intent('running'),
      task: { state: 'exited', pid: 9, startedAtNanos: 1n, exit },
    },
    0n,
  );
  assert.deepEqual(verdict.kind === 'ended' && verdict.exit, exit);
});

test('an end that was handled already is not handled twice', () => {
  const verdict = judge(
    {
      entry: entry('running'),
      intent: intent('ended'),
      task: { state: 'exited', pid: 9, startedAtNanos: 1n, exit },
    },
    0n,
  );
  assert.equal(verdict.kind, 'known');
});

test('unclean ends are concluded: 137 without a shim, 255 after a reboot', () => {
  const code = (found: Parameters<typeof judge>[0]): number | null => {
    const verdict = judge(found, 8n);
    return verdict.kind === 'ended' ? verdict.exit.exitCode : null;
  };
  assert.equal(code({ entry: entry('running'), intent: intent('running'), task: null }), 137);
  assert.equal(code({ entry: entry('running'), intent: null, task: null }), 255);
  assert.equal(code({ entry: entry('paused'), intent: null, task: null }), 255);
});

test('a start that never came to a task leaves what was before', () => {
  assert.equal(judge({ entry: entry('created'), intent: intent('starting'), task: null }, 0n).kind, 'known');
  assert.equal(judge({ entry: entry('exited'), intent: null, task: null }, 0n).kind, 'idle');
});
