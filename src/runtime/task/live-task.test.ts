import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { encodeFields, encodeFrame, FIELD, FRAME } from '../shim/protocol.ts';
import type { ExitRecord } from '../task.ts';
import type { TaskContext } from './context.ts';
import { LiveTask } from './live-task.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('an end that is told before the start is known to have succeeded counts', async () => {
  const ends: ExitRecord[] = [];
  const context = {
    execRoot: '/nowhere',
    kernel: { cgroups: { removeEmpty: async () => true }, processes: { alive: () => false } },
    handlers: { onExit: (_id: string, exit: ExitRecord) => void ends.push(exit) },
    log: { warn: () => undefined },
  } as unknown as TaskContext;
  const meta = { id: 'c', cgroupPath: '/c', runtimeState: '' } as unknown as LiveTask['meta'];
  const task = new LiveTask(context, '/nowhere', meta);
  const shim = new Duplex({ read: () => undefined, write: (_bytes, _encoding, done) => done() });
  task.connect(shim as unknown as Socket);
  const fields = encodeFields([
    [FIELD.exitCode, 7],
    [FIELD.timeNs, 5n],
  ]);
  shim.push(encodeFrame(FRAME.exit, 0, fields));
  await turn();
  await turn();
  assert.deepEqual(ends, [], 'it may still be that of a start that failed');
  task.started({ pid: 1, startTime: 1, startedAtNanos: 1n });
  await turn();
  assert.deepEqual(
    ends.map(({ exitCode }) => exitCode),
    [7],
  );
  task.leave();
});
