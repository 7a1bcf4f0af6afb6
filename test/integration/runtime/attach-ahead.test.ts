import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newContainerId } from '#base/ids.ts';
import { buildExecProcess } from '#runtime/spec.ts';
import type { TaskService } from '#runtime/task.ts';
import { cannotRun, makeWorld, readAll, type World } from './support.ts';

const OPTIONS = { stdin: false, stdout: true, stderr: true };
/** Longer than a connection is kept for a client that does not come. */
const TOO_LONG_MS = 1300;

async function output(world: World, tasks: TaskService, exec: { id: string; execId: string }) {
  const { id, execId } = exec;
  const user = { uid: 0, gid: 0, additionalGids: [0], home: '/' };
  const args = ['echo', execId];
  const process = buildExecProcess(world.input(id, { args }), {
    ...{ args, env: [], cwd: '', user, terminal: false, privileged: false },
  });
  world.execExits.set(execId, Promise.withResolvers());
  const stream = await tasks.attach(id, execId, OPTIONS);
  await tasks.exec(id, { execId, process, terminal: false, stdin: false, detach: false });
  return (await readAll(stream)).stdout;
}

describe('a stream made ahead of an exec', { skip: cannotRun() }, () => {
  for (const [name, waitMs] of [
    ['at once', 0],
    ['too late', TOO_LONG_MS],
  ] as const) {
    test(`brings all its output when it starts ${name}`, async (t) => {
      const world = makeWorld(t);
      const tasks = world.service();
      const { id } = await world.run(tasks, ['sleep', '60']);
      const execId = newContainerId();
      tasks.attachAhead(id, execId, OPTIONS);
      await sleep(waitMs);
      assert.equal(await output(world, tasks, { id, execId }), `${execId}\n`);
    });
  }

  test('is one for each task, and no exec depends on it', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const { id } = await world.run(tasks, ['sleep', '60']);
    const ids = Array.from({ length: 40 }, () => newContainerId());
    for (const execId of ids) tasks.attachAhead(id, execId, OPTIONS);
    const other = newContainerId();
    for (const execId of [ids[0] ?? '', ids.at(-1) ?? '', other])
      assert.equal(await output(world, tasks, { id, execId }), `${execId}\n`);
    tasks.attachAhead(newContainerId(), other, OPTIONS);
  });
});
