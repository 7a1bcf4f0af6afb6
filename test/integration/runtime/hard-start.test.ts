import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineError, isEngineError } from '#base/errors.ts';
import { newContainerId } from '#base/ids.ts';
import { isKernelError } from '#host/kernel-error.ts';
import { buildRuntimeSpec, TASK_SHM } from '#runtime/spec.ts';
import type { AttachOptions } from '#runtime/task.ts';
import { cannotRun, makeWorld, readAll, waitFor, type World } from './support.ts';

const CHILD = fileURLToPath(new URL('./start-child.ts', import.meta.url));
const OUTPUT: AttachOptions = { stdin: false, stdout: true, stderr: true };

/** An OCI runtime that runs the script first; `exec runc "$@"` in it goes on as usual. */
function scripted(world: World, script: string): { runc: { path: string } } {
  const path = join(world.execRoot, 'runtime.sh');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { runc: { path } };
}

async function nothingIsLeft(world: World, id: string): Promise<void> {
  // What is dead and not reaped yet is listed, too; what dies has no directory any more, and is not dead yet.
  const { cgroups, processes } = world.kernel;
  const isAlive = (pid: number): boolean => !['Z', 'X', undefined].includes(processes.facts(pid)?.state);
  await waitFor(() => cgroups.processes(world.parent).filter(isAlive).length === 0, 1000).catch(() =>
    assert.deepEqual(cgroups.processes(world.parent).filter(isAlive), []),
  );
  assert.ok(!world.kernel.cgroups.exists(`${world.parent}/${id}`));
  assert.ok(!existsSync(join(world.execRoot, 'tasks', id)));
}

function shimPid(world: World, id: string): number {
  const text = readFileSync(join(world.execRoot, 'tasks', id, 'shim.pid'), 'utf8');
  return (JSON.parse(text) as { pid: number }).pid;
}

describe('starts that go wrong in hard ways', { skip: cannotRun() }, () => {
  test('a runtime that hangs: a clear error after the limit, nothing left', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(scripted(world, 'sleep 1000 & sleep 1000'), { startLimitMs: 300 });
    const id = newContainerId();
    await assert.rejects(world.run(tasks, ['true'], { id }), {
      message:
        'failed to create task for container: runc has not finished within 0.3 s: context deadline exceeded',
    });
    await nothingIsLeft(world, id);
  });

  test('a shim that does not say hello is given up', async (t) => {
    const world = makeWorld(t);
    const { runc } = scripted(world, 'sleep 1000');
    // The bound for all of a start cuts `LIMITS.shimHelloMs`, too.
    const tasks = world.service(undefined, { startLimitMs: 300, shim: { path: runc.path } });
    const id = newContainerId();
    await assert.rejects(world.run(tasks, ['true'], { id }), /: the shim does not answer/);
    await nothingIsLeft(world, id);
    await tasks.close();
  });

  test('a start that boot finds half-way and that does not end is given up', async (t) => {
    const world = makeWorld(t);
    const { runc } = scripted(world, 'sleep 1000');
    const id = newContainerId();
    const daemon = spawn(process.execPath, [CHILD, world.execRoot, id, runc.path], { stdio: 'ignore' });
    await waitFor(() => existsSync(join(world.execRoot, 'tasks', id, 'runtime.log')));
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    // As above: this cuts `LIMITS.foundStartMs`.
    const second = world.service(undefined, { startLimitMs: 300 });
    assert.equal((await second.reattach()).size, 0);
    await nothingIsLeft(world, id);
    await second.close();
  });

  test('an exec whose runtime hangs ends with the limit, alone', async (t) => {
    const world = makeWorld(t);
    const script = 'case "$*" in *" exec "*) sleep 1000;; esac; exec runc "$@"';
    const tasks = world.service(scripted(world, script), { startLimitMs: 2000 });
    const { id } = await world.run(tasks, ['sleep', '1000']);
    const { process } = buildRuntimeSpec(world.input(id, { args: ['true'] }));
    await assert.rejects(
      tasks.exec(id, { execId: newContainerId(), process, terminal: false, stdin: false, detach: true }),
      /^EngineError: OCI runtime exec failed: runc has not finished in time: context deadline exceeded$/,
    );
    await waitFor(() => world.kernel.cgroups.processes(world.shimCgroup).length === 1);
    assert.equal(tasks.get(id)?.state, 'running');
    await tasks.delete(id);
  });

  test('a root file system that cannot be opened, or hangs, is told; nothing is left', async (t) => {
    const world = makeWorld(t);
    for (const runtimes of [undefined, scripted(world, 'exec runc "$@"')]) {
      const tasks = world.service(runtimes, { startLimitMs: 300 });
      const [lost, hangs] = [newContainerId(), newContainerId()];
      const reason = new Error('no such device');
      const failing = { rootfsFd: Promise.reject(reason) };
      failing.rootfsFd.catch(() => undefined);
      await assert.rejects(world.run(tasks, ['true'], { id: lost, request: failing }), reason);
      await nothingIsLeft(world, lost);
      const hanging = { rootfsFd: Promise.withResolvers<number>().promise };
      await assert.rejects(world.run(tasks, ['true'], { id: hangs, request: hanging }), {
        message:
          'failed to create task for container: no root file system within 0.3 s: context deadline exceeded',
      });
      await nothingIsLeft(world, hangs);
      await tasks.close();
    }
  });

  test('a start that hangs can be given up', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(scripted(world, 'sleep 1000'));
    const id = newContainerId();
    const controller = new AbortController();
    const reason = new EngineError('conflict', 'given up');
    const started = world.run(tasks, ['true'], { id, request: { cancel: controller.signal } });
    setTimeout(() => controller.abort(reason), 200);
    await assert.rejects(started, reason);
    await nothingIsLeft(world, id);
  });

  test('a shim that is killed within the start leaves no runtime and no container', async (t) => {
    const world = makeWorld(t);
    // Before the runtime's work, within it, and after it has made the container.
    for (const script of ['sleep 1000; exec runc "$@"', 'exec runc "$@"', 'runc "$@"; sleep 1000']) {
      for (const delayMs of [10, 25]) {
        const tasks = world.service(scripted(world, script));
        const id = newContainerId();
        const started = world.run(tasks, ['sleep', '1000'], { id });
        started.catch(() => undefined);
        await waitFor(() => existsSync(join(world.execRoot, 'tasks', id, 'shim.pid')));
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        process.kill(shimPid(world, id), 'SIGKILL');
        await assert.rejects(started, (error) => isEngineError(error, 'internal'));
        await nothingIsLeft(world, id);
        await tasks.close();
      }
    }
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
  });

  test('at boot a shim that died within a start leaves no runtime', async (t) => {
    const world = makeWorld(t);
    const { runc } = scripted(world, 'sleep 1000');
    const id = newContainerId();
    const daemon = spawn(process.execPath, [CHILD, world.execRoot, id, runc.path], { stdio: 'ignore' });
    await waitFor(() => existsSync(join(world.execRoot, 'tasks', id, 'runtime.log')));
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    process.kill(shimPid(world, id), 'SIGKILL');
    await waitFor(() => world.kernel.cgroups.processes(world.shimCgroup).length > 0);
    const second = world.service();
    assert.equal((await second.reattach()).size, 0);
    await nothingIsLeft(world, id);
  });
});

describe('what a shim holds for its container', { skip: cannotRun() }, () => {
  test('published ports stay taken without this process, until the container ends', async (t) => {
    const world = makeWorld(t);
    const { sockets } = world.kernel;
    const tasks = world.service();
    const held = [1, 2].map(() => sockets.holdPort({ protocol: 'tcp', address: '127.0.0.1', port: 0 }));
    const heldPorts = held.map(({ fd }) => fd);
    const { id } = await world.run(tasks, ['sh', '-c', 'ls /proc/self/fd; sleep 1000'], {
      request: { heldPorts },
    });
    for (const fd of heldPorts) closeSync(fd);
    await tasks.close();
    const taken = (port: number): boolean => {
      try {
        closeSync(sockets.holdPort({ protocol: 'tcp', address: '127.0.0.1', port }).fd);
        return false;
      } catch (error) {
        if (isKernelError(error, 'EADDRINUSE')) return true;
        throw error;
      }
    };
    assert.deepEqual(
      held.map(({ port }) => taken(port)),
      [true, true],
    );
    const second = world.service();
    await second.reattach();
    await second.signal(id, 9);
    await world.exited(id);
    assert.deepEqual(
      held.map(({ port }) => taken(port)),
      [false, false],
    );
    await second.delete(id);
  });

  test('/dev/shm of the container whose IPC namespace is joined', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const script = 'echo secret > /dev/shm/note; while [ ! -e /dev/shm/answer ]; do sleep 0.02; done; exit 7';
    const donor = await world.run(tasks, ['sh', '-c', script], { spec: { ipc: { mode: 'shareable' } } });
    const id = newContainerId();
    const stream = await tasks.attach(id, null, OUTPUT);
    const joiner =
      'while [ ! -e /dev/shm/note ]; do sleep 0.02; done; cat /dev/shm/note; echo > /dev/shm/answer';
    await world.run(tasks, ['sh', '-c', joiner], {
      id,
      spec: { ipc: { mode: 'container', id: donor.id, shmPath: TASK_SHM } },
    });
    assert.equal((await readAll(stream)).stdout, 'secret\n');
    assert.equal((await world.exited(donor.id)).exitCode, 7);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(world.execRoot));
  });
});
