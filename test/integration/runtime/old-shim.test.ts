/** A shim of protocol version 1, which has no launch plans, left to a daemon that has them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newContainerId } from '#base/ids.ts';
import { buildExecProcess } from '#runtime/spec.ts';
import type { ExitRecord } from '#runtime/task.ts';
import { Fields, FIELD, FRAME } from '../../../src/runtime/shim/protocol.ts';
import { cannotRun, makeWorld, readAll, waitFor, type World } from './support.ts';

const FAKE = fileURLToPath(new URL('./old-shim.ts', import.meta.url));
const RECORDED = JSON.parse(
  readFileSync(new URL('../../reference/shim-v1.json', import.meta.url), 'utf8'),
) as { files: { 'task.json': object; exit: string } };
const RUNC = { runc: { path: '/usr/sbin/runc' } };
const OUTPUT = { stdin: false, stdout: true, stderr: true };
const SIGTERM = 15;

interface OldTask {
  readonly id: string;
  readonly directory: string;
  readonly pid: number;
}

function pidIn(directory: string, name: string): number {
  return (JSON.parse(readFileSync(join(directory, name), 'utf8')) as { pid: number }).pid;
}

/** A task directory as a daemon of version 1 left it, with its shim and its process. */
async function leaveOldTask(t: TestContext, world: World, more: object = {}): Promise<OldTask> {
  const id = newContainerId();
  const directory = join(world.execRoot, 'tasks', id);
  mkdirSync(join(directory, 'rootfs'), { recursive: true });
  const meta = {
    ...RECORDED.files['task.json'],
    id,
    bootId: world.kernel.system.facts().bootId,
    cgroupPath: `${world.parent}/${id}`,
    runtimeState: join(world.execRoot, 'runtimes/runc', id),
    ...more,
  };
  writeFileSync(join(directory, 'task.json'), JSON.stringify(meta));
  const child = spawn(process.execPath, [FAKE, 'running'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const pid = pidIn(directory, 'init');
  const init = world.kernel.processes.identity(pid);
  const exited = once(child, 'exit');
  t.after(async () => {
    if (init !== null) world.kernel.processes.signal(init, 9);
    if (child.exitCode === null) child.kill('SIGTERM');
    await exited;
  });
  return { id, directory, pid };
}

function requests(directory: string, type: number): Fields[] {
  const lines = readFileSync(join(directory, 'requests'), 'utf8').trim().split('\n');
  return lines
    .map((line) => JSON.parse(line) as { type: number; payload: string })
    .filter((request) => request.type === type)
    .map(({ payload }) => new Fields(Buffer.from(payload, 'hex')));
}

function execRequest(world: World, id: string) {
  const user = { uid: 0, gid: 0, additionalGids: [0], home: '/' };
  const input = { args: ['true'], env: [], cwd: '', user, terminal: false, privileged: false };
  const process = buildExecProcess(world.input(id, { args: ['true'] }), input);
  return { execId: 'exec', process, terminal: false, stdin: false, detach: false };
}

describe('a shim of protocol version 1', { skip: cannotRun() }, () => {
  test('is found with its container, whose output and exit arrive', async (t) => {
    const world = makeWorld(t);
    const { id, directory, pid } = await leaveOldTask(t, world);
    const tasks = world.service();
    const found = (await tasks.reattach()).get(id);
    assert.deepEqual([found?.state, found?.pid], ['running', pid]);
    const text = readAll(await tasks.attach(id, null, OUTPUT));
    await tasks.signal(id, SIGTERM);
    const exit = await world.exited(id);
    assert.deepEqual([exit.exitCode, exit.signal, exit.oomKilled], [7, undefined, false]);
    assert.deepEqual(await text, { stdout: 'out in\n', stderr: 'err\n' });
    await tasks.settled(id);
    assert.equal(requests(directory, FRAME.release).length, 1);
    await tasks.delete(id);
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
    await tasks.close();
  });

  test('the exit while no daemon was there is in its file', async (t) => {
    const world = makeWorld(t);
    const { id, directory, pid } = await leaveOldTask(t, world);
    const first = world.service();
    await first.reattach();
    await first.close();
    process.kill(pid, 'SIGTERM');
    await waitFor(() => existsSync(join(directory, 'exit')) && !existsSync(join(directory, 'shim.pid')));
    const found = (await world.service().reattach()).get(id);
    assert.ok(found?.state === 'exited');
    const { exitedAtNs } = JSON.parse(RECORDED.files.exit) as { exitedAtNs: string };
    assert.deepEqual([found.pid, found.exit.exitCode], [pid, 7]);
    assert.equal(found.exit.exitedAtNanos, BigInt(exitedAtNs));
  });

  test('an exec goes by the OCI runtime that started the container', async (t) => {
    const world = makeWorld(t);
    const { id, directory } = await leaveOldTask(t, world);
    const tasks = world.service();
    await tasks.reattach();
    const ended = Promise.withResolvers<ExitRecord>();
    world.execExits.set('exec', ended);
    const text = readAll(await tasks.attach(id, 'exec', OUTPUT));
    await tasks.exec(id, execRequest(world, id));
    assert.deepEqual(await text, { stdout: 'in exec\n', stderr: '' });
    assert.equal((await ended.promise).exitCode, 3);
    const [request] = requests(directory, FRAME.exec);
    assert.ok(request !== undefined && !request.has(FIELD.plan));
    assert.equal(request.text(FIELD.argv), RUNC.runc.path);
    await tasks.close();
  });

  test('a plan is not sent to it, whatever its task says', async (t) => {
    const world = makeWorld(t);
    const own = { runtime: 'gantry', runtimeState: '', launch: { namespaces: ['mount', 'pid'] } };
    const { id, directory } = await leaveOldTask(t, world, own);
    const tasks = world.service();
    await tasks.reattach();
    const why = 'its shim speaks version 1, too old for this daemon';
    await assert.rejects(tasks.exec(id, execRequest(world, id)), {
      kind: 'conflict',
      message: `no exec in container ${id} before its next start: ${why}`,
    });
    assert.deepEqual(requests(directory, FRAME.exec), []);
    assert.deepEqual(tasks.execs(id), []);
    await tasks.close();
  });

  test('a start by a plan is refused in clear words and leaves nothing', async (t) => {
    const world = makeWorld(t);
    const path = join(world.execRoot, 'old-shim');
    // The spawned half ends at once, as the true one does.
    writeFileSync(path, `#!/bin/sh\ncd ${world.execRoot}\n${process.execPath} ${FAKE} new >/dev/null &\n`);
    chmodSync(path, 0o755);
    const tasks = world.service(undefined, { shim: { path } });
    const why = 'the shim speaks version 1, too old for this daemon';
    await assert.rejects(world.run(tasks, ['true'], { request: { runtime: 'gantry' } }), {
      kind: 'internal',
      message: `failed to create task for container: ${why}`,
    });
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
    await waitFor(() => world.kernel.cgroups.processes(world.shimCgroup).length === 0);
    assert.deepEqual([...world.kernel.cgroups.processes(world.parent)], []);
    await tasks.close();
  });
});
