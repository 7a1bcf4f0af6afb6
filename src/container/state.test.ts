import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';
import type { ContainerStatus } from './record.ts';
import { STATUSES, transition, type Action } from './state.ts';

const record = (status: ContainerStatus) => ({
  id: 'f'.repeat(64) as ContainerId,
  name: 'k1',
  state: { status },
});

function refusal(status: ContainerStatus, action: Action): string {
  try {
    transition(record(status), action);
  } catch (error) {
    assert.ok(isEngineError(error));
    return `${error.kind}: ${error.message.replaceAll('f'.repeat(64), '<id>')}`;
  }
  throw new Error(`${action} of a ${status} container was allowed`);
}

test('what clients match is said word by word', () => {
  assert.equal(refusal('running', 'start'), 'notModified: ');
  assert.equal(refusal('exited', 'stop'), 'notModified: ');
  assert.equal(refusal('paused', 'start'), 'conflict: cannot start a paused container, try unpause instead');
  assert.equal(refusal('exited', 'kill'), 'conflict: container <id> is not running');
  assert.equal(refusal('paused', 'pause'), 'conflict: Container <id> is already paused');
  assert.equal(refusal('running', 'unpause'), 'internal: Container <id> is not paused');
  assert.equal(
    refusal('paused', 'exec'),
    'conflict: Container k1 is paused, unpause the container before exec',
  );
  assert.match(
    refusal('running', 'remove'),
    /cannot remove container "k1": container is running: stop the container before removing/,
  );
  assert.match(refusal('paused', 'remove'), /container is paused and must be unpaused first/);
});

test('every status can be removed by force, but only once', () => {
  for (const status of STATUSES) {
    if (status === 'removing') assert.match(refusal(status, 'remove-forced'), /already in progress/);
    else assert.equal(transition(record(status), 'remove-forced'), 'removing');
  }
});

test('a run goes from created to exited, with a pause in between', () => {
  assert.equal(transition(record('created'), 'started'), 'running');
  assert.equal(transition(record('running'), 'pause'), 'paused');
  assert.equal(transition(record('paused'), 'unpause'), 'running');
  assert.equal(transition(record('paused'), 'exit'), 'exited');
  assert.equal(transition(record('exited'), 'restart-later'), 'restarting');
  assert.equal(transition(record('restarting'), 'started'), 'running');
});
