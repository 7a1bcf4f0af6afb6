/** What only tasks of our own launcher have: plans, and what execs of a later daemon know. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { newContainerId } from '#base/ids.ts';
import { buildExecProcess } from '#runtime/spec.ts';
import type { AttachOptions, ExitRecord, TaskService } from '#runtime/task.ts';
import { USES_OWN_RUNTIME } from '../../support/runtimes.ts';
import { cannotRun, makeWorld, readAll, waitFor, type World } from './support.ts';

const OUTPUT: AttachOptions = { stdin: false, stdout: true, stderr: true };
const ROOT_USER = { uid: 0, gid: 0, additionalGids: [0], home: '/' };
const PROTECTION = [
  'CapInh',
  'CapPrm',
  'CapEff',
  'CapBnd',
  'CapAmb',
  'NoNewPrivs',
  'Seccomp',
  'Seccomp_filters',
];

async function output(
  world: World,
  tasks: TaskService,
  { id, args }: { id: string; args: string[] },
): Promise<string> {
  const execId = newContainerId();
  const given = { args, env: [], cwd: '', user: ROOT_USER, terminal: false, privileged: false };
  const process = buildExecProcess(world.input(id, { args }), given);
  const stream = await tasks.attach(id, execId, OUTPUT);
  await tasks.exec(id, { execId, process, terminal: false, stdin: false, detach: false });
  const { stdout, stderr } = await readAll(stream);
  assert.equal(stderr, '');
  return stdout;
}

function protectionIn(status: string): string[] {
  return status.split('\n').filter((line) => PROTECTION.includes(line.slice(0, line.indexOf(':'))));
}

/** Everything that keeps a process of the container inside. */
async function places(world: World, tasks: TaskService, id: string): Promise<string[]> {
  const script = 'cat /proc/self/status /proc/self/cgroup; for n in /proc/self/ns/*; do readlink $n; done';
  const text = await output(world, tasks, { id, args: ['sh', '-c', script] });
  const lines = text.split('\n');
  return [...protectionIn(text), ...lines.filter((line) => /^\d+:|^\w+:\[\d+\]$/.test(line))];
}

const ANOTHER_RUNTIME = USES_OWN_RUNTIME ? false : 'needs our own launcher';

describe('tasks of the launcher', { skip: cannotRun() || ANOTHER_RUNTIME }, () => {
  test('an exec of the next daemon is as confined as the one before, and as init', async (t) => {
    const world = makeWorld(t);
    const first = world.service();
    const { id, pid } = await world.run(first, ['sleep', '1000']);
    const before = await places(world, first, id);
    assert.deepEqual(
      before.filter((line) => PROTECTION.includes(line.slice(0, line.indexOf(':')))),
      protectionIn(readFileSync(`/proc/${pid}/status`, 'utf8')),
    );
    assert.ok(before.some((line) => /^Seccomp:\s*2$/.test(line)));
    await first.close();
    const second = world.service();
    assert.ok((await second.reattach()).has(id));
    assert.deepEqual(await places(world, second, id), before);
    await second.delete(id);
  });

  test('a filter that is not the one of the start is no filter', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const { id } = await world.run(tasks, ['sleep', '1000']);
    const path = join(world.execRoot, 'tasks', id, 'seccomp');
    const filter = readFileSync(path);
    const later = world.service();
    await later.reattach();
    for (const other of [filter.subarray(8), Buffer.alloc(0), Buffer.concat([filter, filter])]) {
      writeFileSync(path, other);
      await assert.rejects(
        output(world, later, { id, args: ['true'] }),
        /the system call filter of this container is not what it was started with/,
      );
    }
    // Whoever has started it knows the filter.
    assert.equal(await output(world, tasks, { id, args: ['echo', 'x'] }), 'x\n');
    writeFileSync(path, filter);
    assert.equal(await output(world, later, { id, args: ['echo', 'x'] }), 'x\n');
    await later.close();
    const meta = join(world.execRoot, 'tasks', id, 'task.json');
    const json = JSON.parse(readFileSync(meta, 'utf8')) as { launch: { namespaces: string[] } };
    json.launch.namespaces = ['mount', 'nonsense'];
    writeFileSync(meta, JSON.stringify(json));
    const second = world.service();
    await second.reattach();
    await assert.rejects(output(world, second, { id, args: ['true'] }), /how it was started is lost/);
    await second.delete(id);
    await tasks.close();
  });

  test('a container whose execs nobody waits for ends at once', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const { id } = await world.run(tasks, ['sleep', '1000']);
    const starting: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      const given = { args: ['sh', '-c', 'sleep 1000 & exit 0'], env: [], cwd: '', user: ROOT_USER };
      const process = buildExecProcess(world.input(id, {}), { ...given, terminal: false, privileged: false });
      const request = { execId: newContainerId(), process, terminal: false, stdin: false, detach: true };
      starting.push(tasks.exec(id, request).catch((error: unknown) => assert.ok(isEngineError(error))));
      if (i === 10) await tasks.signal(id, 9);
    }
    const began = performance.now();
    const exit: ExitRecord = await world.exited(id);
    assert.equal(exit.exitCode, 137);
    assert.ok(performance.now() - began < 2000);
    await Promise.all(starting);
    await tasks.delete(id);
  });

  test('a shim that is killed at any moment of a start leaves nothing', async (t) => {
    const world = makeWorld(t);
    const { cgroups } = world.kernel;
    for (let round = 0; round < 24; round++) {
      const tasks = world.service();
      const id = newContainerId();
      const directory = join(world.execRoot, 'tasks', id);
      const started = world.run(tasks, ['sleep', '1000'], { id }).then(
        () => 'running',
        () => 'failed',
      );
      await waitFor(() => existsSync(join(directory, 'shim.pid')));
      const { pid } = JSON.parse(readFileSync(join(directory, 'shim.pid'), 'utf8')) as { pid: number };
      await new Promise((resolve) => setTimeout(resolve, round / 4));
      process.kill(pid, 'SIGKILL');
      if ((await started) === 'running') assert.equal((await world.exited(id)).exitCode, 137);
      await tasks.delete(id);
      // The killed one itself may still be on its way out.
      const left = (): number[] =>
        cgroups.processes(world.parent).filter((one) => !['Z', 'X'].includes(facts(world, one)));
      await waitFor(() => left().length === 0, 1000).catch(() =>
        assert.deepEqual(left(), [], `round ${round}`),
      );
      assert.ok(!cgroups.exists(`${world.parent}/${id}`));
      await tasks.close();
    }
  });

  test('an environment of 2 MB reaches the program', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const id = newContainerId();
    const stream = await tasks.attach(id, null, OUTPUT);
    const env = Array.from({ length: 20 }, (_, i) => `V${i}=${'x'.repeat(100_000)}`);
    await world.run(tasks, ['sh', '-c', 'echo ${#V0} ${#V19}'], { id, spec: { env } });
    assert.equal((await readAll(stream)).stdout, '100000 100000\n');
    await tasks.delete(id);
  });
});

function facts(world: World, pid: number): string {
  return world.kernel.processes.facts(pid)?.state ?? 'X';
}
