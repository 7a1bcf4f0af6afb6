import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newContainerId } from '#base/ids.ts';
import { cannotRun, makeWorld, readAll, waitFor, type World } from './support.ts';

const CHILD = fileURLToPath(new URL('./start-child.ts', import.meta.url));

function shimPid(world: World, id: string): number {
  const text = readFileSync(join(world.execRoot, 'tasks', id, 'shim.pid'), 'utf8');
  return (JSON.parse(text) as { pid: number }).pid;
}

describe('tasks outlive the service', { skip: cannotRun() }, () => {
  test('what runs is found with pid, attach, signal and exit code', async (t) => {
    const world = makeWorld(t);
    const first = world.service();
    const script = 'trap "exit 9" TERM; while :; do echo tick; sleep 0.05; done';
    const { id, pid, startTime } = await world.run(first, ['sh', '-c', script]);
    await first.close();
    const second = world.service();
    const found = (await second.reattach()).get(id);
    assert.deepEqual([found?.state, found?.pid], ['running', pid]);
    assert.equal(second.get(id)?.startTime, startTime);
    const stream = await second.attach(id, null, { stdin: false, stdout: true, stderr: false });
    // Before its trap is set the first process of a namespace ignores the signal.
    const ticked = once(stream.output, 'data');
    const text = readAll(stream);
    await ticked;
    await second.signal(id, 15);
    assert.equal((await world.exited(id)).exitCode, 9);
    await text;
    await second.delete(id);
    assert.equal((await second.reattach()).size, 0);
  });

  test('what ended meanwhile has its exit code', async (t) => {
    const world = makeWorld(t);
    const first = world.service();
    const { id } = await world.run(first, ['sh', '-c', 'sleep 0.2; exit 5']);
    await first.close();
    await waitFor(() => existsSync(join(world.execRoot, 'tasks', id, 'exit')));
    const second = world.service();
    const found = (await second.reattach()).get(id);
    assert.ok(found?.state === 'exited');
    assert.deepEqual([found.exit.exitCode, found.exit.reason], [5, undefined]);
    await second.settled(id);
    assert.ok(!world.kernel.cgroups.exists(`${world.parent}/${id}`));
    await second.delete(id);
  });

  test('a killed shim: the task is ended and recorded as 137, at once and at boot', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const live = await world.run(tasks, ['sleep', '60']);
    process.kill(shimPid(world, live.id), 'SIGKILL');
    const exit = await world.exited(live.id);
    assert.deepEqual(
      [exit.exitCode, exit.signal, exit.reason],
      [137, 9, 'the shim of this container was killed'],
    );
    await tasks.settled(live.id);
    assert.ok(!world.kernel.processes.alive(live));
    assert.ok(!world.kernel.cgroups.exists(`${world.parent}/${live.id}`));
    const later = await world.run(tasks, ['sleep', '60']);
    await tasks.close();
    const shim = world.kernel.processes.identity(shimPid(world, later.id));
    assert.ok(shim !== null && world.kernel.processes.signal(shim, 9));
    await waitFor(() => !world.kernel.processes.alive(shim));
    const second = world.service();
    const found = (await second.reattach()).get(later.id);
    assert.ok(found?.state === 'exited' && found.exit.exitCode === 137);
    assert.ok(!world.kernel.processes.alive(later));
  });

  test('directories without intent, of another boot, with damage', async (t) => {
    const world = makeWorld(t);
    for (const [name, text] of [
      ['a'],
      ['b', '{"id":'],
      ['c', '[]'],
      ['d', '{"id":"d","bootId":"old","cgroupPath":"/x","runtime":"r","runtimeState":"/x"}'],
    ]) {
      const directory = join(world.execRoot, 'tasks', name ?? '');
      mkdirSync(directory, { recursive: true });
      if (text !== undefined) writeFileSync(join(directory, 'task.json'), text);
    }
    assert.equal((await world.service().reattach()).size, 0);
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
  });

  test('a cgroup of shims that a killed daemon has half made is completed', async (t) => {
    const world = makeWorld(t);
    const [first] = world.kernel.cgroups.layout().hierarchies;
    mkdirSync(join(first?.mountPoint ?? '', world.shimCgroup), { recursive: true });
    const tasks = world.service();
    const { id } = await world.run(tasks, ['true']);
    assert.equal((await world.exited(id)).exitCode, 0);
    await tasks.delete(id);
  });

  test('SIGKILL at any moment of a start: all or nothing', async (t) => {
    const world = makeWorld(t);
    for (let round = 0; round < 8; round++) {
      const id = newContainerId();
      const child = spawn(process.execPath, [CHILD, world.execRoot, id], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(child, 'exit');
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, round * 12));
      child.kill('SIGKILL');
      // Whatever it does, it does not give up by itself.
      assert.deepEqual(await exited, [null, 'SIGKILL']);
      const tasks = world.service();
      const found = (await tasks.reattach()).get(id);
      const inside = (): number => world.kernel.cgroups.processes(`${world.parent}/${id}`).length;
      if (found === undefined) {
        await waitFor(() => !world.kernel.cgroups.exists(`${world.parent}/${id}`));
        assert.ok(!existsSync(join(world.execRoot, 'tasks', id)));
      } else {
        assert.equal(found.state, 'running');
        assert.equal(inside(), 1);
        await tasks.delete(id);
      }
      await tasks.close();
      await waitFor(() => world.kernel.cgroups.processes(world.parent).length === 0);
    }
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
  });
});
