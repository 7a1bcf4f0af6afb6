import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecorder } from './recorder.ts';

test('remembers calls in order, with their arguments', () => {
  const { kernel, calls } = createRecorder();
  const operations = [{ kind: 'addBridge', name: 'b' }] as const;
  kernel.links.apply(operations);
  kernel.links.find('b');
  assert.deepEqual(calls, [
    { call: 'links.apply', args: [operations] },
    { call: 'links.find', args: ['b'] },
  ]);
});

test('fails when told to, once', async () => {
  const recorder = createRecorder();
  recorder.failNext('links.apply', new Error('broken'));
  assert.throws(() => recorder.kernel.links.apply([]), /broken/);
  recorder.kernel.links.apply([]);
  const child = await recorder.kernel.processes.spawn({ path: '/x', argv: [], env: {} });
  recorder.endProcess(child.pid, { exitCode: 3 });
  assert.deepEqual(await child.exited, { exitCode: 3 });
});
