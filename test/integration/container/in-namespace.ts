/* Runs inside a network namespace of its own, started by `life.test.ts`. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { errorMessage } from '#base/errors.ts';
import { newContainerId } from '#base/ids.ts';
import type { JsonObject } from '#base/json.ts';
import { silentLog } from '#base/log.ts';
import { packageRoot } from '#host/real.ts';
import { RecordStore } from '../../../src/container/record/store.ts';
import { collector, create, newRoot, openEngine, type Engine } from './engine.ts';

const root = newRoot();
let engine: Engine = await openEngine(root, join(packageRoot(), 'dist/images/busybox.tar'));
const MIB = 1024 * 1024;
const none: JsonObject = { NetworkMode: 'none' };
const STREAMS = { stdin: true, stdout: true, stderr: true };
const silent = (): AbortSignal => new AbortController().signal;

after(async () => {
  for (const record of engine.containers.records())
    await engine.containers.remove(record.id, { force: true, volumes: true, link: false });
  await engine.close();
  await engine.removeCgroups();
  rmSync(root, { recursive: true, force: true });
});

interface State {
  readonly Status: string;
  readonly ExitCode: number;
  readonly Pid: number;
  readonly OOMKilled: boolean;
}

async function state(id: string): Promise<State> {
  const view = await engine.containers.inspect(id, { size: false, apiVersion: '1.51' });
  return view['State'] as unknown as State;
}

async function waitFor(id: string, condition = 'not-running'): Promise<number> {
  const { reply } = await engine.containers.wait(id, condition, silent());
  return (await reply).StatusCode;
}

const refusal = (promise: Promise<unknown>): Promise<string> => promise.then(() => '', errorMessage);

test('attach, start, wait, logs: every byte from the first one on, the true exit code', async () => {
  const id = await create(
    engine,
    { Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 3'], HostConfig: none },
    'one',
  );
  const client = collector();
  const session = await engine.containers.attach(id, {
    streams: STREAMS,
    logs: false,
    stream: true,
    detachKeys: '',
  });
  const copied = session.run(client);
  const exit = waitFor(id, 'next-exit');
  await engine.containers.start('one');
  assert.equal(await exit, 3);
  await copied;
  assert.equal(client.text('stdout'), 'out\n');
  assert.equal(client.text('stderr'), 'err\n');
  const logs = await engine.containers.logs(id, {
    stdout: true,
    stderr: true,
    follow: false,
    timestamps: false,
    details: false,
    tail: 'all',
    since: '',
    until: '',
  });
  let text = '';
  for await (const frame of logs.frames(silent())) text += Buffer.from(frame.data).toString();
  assert.equal(text.split('\n').sort().join(), ',err,out');
  assert.deepEqual((({ Status, ExitCode, Pid }) => ({ Status, ExitCode, Pid }))(await state(id)), {
    Status: 'exited',
    ExitCode: 3,
    Pid: 0,
  });
  assert.deepEqual(
    engine.events.filter((event) => event.id === id).map((event) => event.action),
    ['create', 'attach', 'start', 'die'],
  );
  await engine.containers.remove(id, { force: false, volumes: false, link: false });
  assert.equal(await refusal(state(id)), `No such container: ${id}`);
});

test('a container with auto-remove is gone when its end is told', async () => {
  const id = await create(engine, { Cmd: ['true'], HostConfig: { ...none, AutoRemove: true } });
  const removed = waitFor(id, 'removed');
  await engine.containers.start(id);
  assert.equal(await removed, 0);
  assert.equal(
    engine.containers.records().some((record) => record.id === id),
    false,
  );
});

test('exec: output, exit code, user, missing command', async () => {
  const id = await create(engine, { Cmd: ['sleep', '300'], HostConfig: none }, 'e1');
  await engine.containers.start(id);
  const exec = async (body: JsonObject): Promise<{ text: string; exit: unknown }> => {
    const { Id } = await engine.containers.execCreate('e1', {
      AttachStdout: true,
      AttachStderr: true,
      ...body,
    });
    const client = collector();
    const session = await engine.containers.execStart(Id, { detach: false, tty: false, consoleSize: null });
    await session?.run(client);
    return { text: client.text(), exit: (await engine.containers.execInspect(Id))['ExitCode'] };
  };
  assert.deepEqual(await exec({ Cmd: ['sh', '-c', 'echo hi; exit 9'] }), { text: 'hi\n', exit: 9 });
  assert.match((await exec({ Cmd: ['id', '-u'], User: '1000' })).text, /^1000\n$/);
  const missing = await exec({ Cmd: ['nosuchcmd'] });
  assert.equal(missing.exit, 127);
  assert.match(missing.text, /^OCI runtime exec failed: .*executable file not found in \$PATH\r\n$/);
  assert.match(
    await refusal(exec({ Cmd: ['id'], User: 'nosuch' })),
    /unable to find user nosuch: no matching entries in passwd file/,
  );
  await engine.containers.stop(id, { timeoutSeconds: 0 });
  assert.equal((await state(id)).ExitCode, 137);
  assert.match(await refusal(engine.containers.execCreate(id, { Cmd: ['true'] })), /is not running$/);
});

test("a failed start leaves the reference's text, a code, and nothing else", async () => {
  const id = await create(engine, { Cmd: ['nosuchcmd'], HostConfig: none });
  assert.match(
    await refusal(engine.containers.start(id)),
    /^failed to create task for container: .*exec: "nosuchcmd": executable file not found in \$PATH/,
  );
  const { Status, ExitCode } = await state(id);
  assert.deepEqual([Status, ExitCode], ['created', 127]);
  assert.deepEqual(
    readdirSync(join(root, 'exec/containers')).filter((name) => name === id),
    [],
  );
});

test('a start that is given up in a tree that hangs: the tree stays open until nobody works in it', async () => {
  const id = await create(engine, { Cmd: ['true'], HostConfig: none });
  await engine.containers.start(id);
  await waitFor(id);
  const overlays = (): number =>
    readdirSync('/proc/self/fdinfo').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === '/';
      } catch {
        return false;
      }
    }).length;
  const before = overlays();
  const { promise, resolve } = Promise.withResolvers<void>();
  engine.hang.until = promise;
  const started = refusal(engine.containers.start(id));
  while (overlays() === before) await pause(10);
  await engine.containers.remove(id, { force: true, volumes: false, link: false });
  assert.notEqual(await started, '');
  assert.equal(overlays(), before + 1);
  engine.hang.until = undefined;
  resolve();
  while (overlays() > before) await pause(10);
});

test('pause, unpause, kill, rename, restart', async () => {
  const id = await create(engine, { Cmd: ['sleep', '300'], HostConfig: none }, 'life');
  await engine.containers.start(id);
  await engine.containers.pause(id);
  assert.equal((await state(id)).Status, 'paused');
  assert.match(await refusal(engine.containers.start(id)), /cannot start a paused container/);
  await engine.containers.unpause(id);
  const before = (await state(id)).Pid;
  await engine.containers.restart(id, { timeoutSeconds: 0 });
  const after = await state(id);
  assert.equal(after.Status, 'running');
  assert.notEqual(after.Pid, before);
  await engine.containers.rename('life', 'living');
  assert.match(
    await refusal(engine.containers.rename('living', 'e1')),
    /Conflict\. The container name "\/e1" is already in use/,
  );
  await engine.containers.kill('living', 'KILL');
  assert.equal((await state(id)).ExitCode, 137);
  assert.match(
    await refusal(engine.containers.kill('living', 'KILL')),
    /^cannot kill container: living: container .* is not running$/,
  );
});

test('new limits reach the kernel, wrong ones change nothing', async () => {
  const HostConfig = { ...none, Memory: 64 * MIB, MemorySwap: 64 * MIB };
  const id = await create(engine, { Cmd: ['sleep', '300'], HostConfig }, 'limited');
  await engine.containers.start(id);
  const kernelLimits = (): string =>
    [
      engine.limitOf(id, { controller: 'memory', v1: 'memory.limit_in_bytes', v2: 'memory.max' }),
      engine.limitOf(id, { controller: 'pids', v1: 'pids.max', v2: 'pids.max' }),
    ].join(' ');
  assert.equal(kernelLimits(), `${64 * MIB} max`);
  await engine.containers.update(id, { Memory: 32 * MIB, MemorySwap: 32 * MIB, PidsLimit: 20 });
  assert.equal(kernelLimits(), `${32 * MIB} 20`);
  assert.match(
    await refusal(engine.containers.update(id, { Memory: 128 * MIB })),
    /^Cannot update container .*: Memory limit should be smaller than already set memoryswap limit/,
  );
  assert.equal(
    await refusal(engine.containers.update(id, { Memory: 5 })),
    'Minimum memory limit allowed is 6MB',
  );
  const view = await engine.containers.inspect(id, { size: false, apiVersion: '1.51' });
  const { Memory, MemorySwap, PidsLimit } = view['HostConfig'] as JsonObject;
  assert.deepEqual([Memory, MemorySwap, PidsLimit], [32 * MIB, 32 * MIB, 20]);
  // A record that cannot be written: its place is not there.
  const place = join(root, 'data/containers', id);
  renameSync(place, `${place}-away`);
  await assert.rejects(
    engine.containers.update(id, { Memory: 64 * MIB, MemorySwap: 64 * MIB, PidsLimit: 9 }),
  );
  renameSync(`${place}-away`, place);
  assert.equal(kernelLimits(), `${32 * MIB} 20`);
  const unchanged = await engine.containers.inspect(id, { size: false, apiVersion: '1.51' });
  assert.equal((unchanged['HostConfig'] as JsonObject)['Memory'], 32 * MIB);
  await engine.containers.update(id, { Memory: 128 * MIB, MemorySwap: -1, PidsLimit: 0 });
  assert.equal(kernelLimits(), `${128 * MIB} max`);
  await engine.containers.kill(id, 'KILL');
});

test('a policy restarts what failed, as often as it says', async () => {
  const id = await create(engine, {
    Cmd: ['sh', '-c', 'exit 4'],
    HostConfig: { ...none, RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } },
  });
  const ends = (): number =>
    engine.events.filter((event) => event.id === id && event.action === 'die').length;
  await engine.containers.start(id);
  while (ends() < 3) await waitFor(id, 'next-exit');
  assert.equal((await state(id)).Status, 'exited');
  const view = await engine.containers.inspect(id, { size: false, apiVersion: '1.51' });
  assert.equal(view['RestartCount'], 2);
});

test('the next daemon finds what runs, what ended meanwhile, and what was removed', async () => {
  const kept = await create(engine, { Cmd: ['sleep', '300'], HostConfig: none }, 'kept');
  const short = await create(engine, { Cmd: ['sh', '-c', 'sleep 1; exit 6'], HostConfig: none }, 'short');
  for (const id of [kept, short]) await engine.containers.start(id);
  const { Pid } = await state(kept);
  await engine.close();
  const gone = Date.now() + 10_000;
  while (!existsSync(join(root, 'exec/tasks', short, 'exit')))
    assert.ok(Date.now() < gone, 'the shim wrote no exit file');
  engine = await openEngine(root);
  const found = await state(kept);
  assert.deepEqual([found.Status, found.Pid], ['running', Pid]);
  const ended = await state(short);
  assert.deepEqual([ended.Status, ended.ExitCode], ['exited', 6]);
  await engine.containers.remove(kept, { force: true, volumes: false, link: false });
  await engine.close();
  engine = await openEngine(root);
  assert.match(await refusal(state(kept)), /^No such container/);
});

test('a create that was killed half-way leaves no volume; those of others stay', async () => {
  const id = newContainerId();
  const kept = await create(
    engine,
    { Cmd: ['true'], Volumes: { '/data': {} }, HostConfig: none },
    'voluminous',
  );
  const before = engine.volumes.list().map((volume) => volume.Name);
  await engine.containers.remove(kept, { force: false, volumes: false, link: false });
  const planned = await engine.volumes.planMounts({ binds: [], mounts: [], tmpfs: {}, volumes: ['/own'] });
  const own = planned.map((point) => ({ ...point, name: 'f'.repeat(64) }));
  await new RecordStore(join(root, 'data'), silentLog).announce(id, own);
  await engine.volumes.acquire(id, own);
  assert.equal(engine.volumes.list().length, before.length + 1);
  await engine.close();
  engine = await openEngine(root);
  assert.deepEqual(
    engine.volumes.list().map((volume) => volume.Name),
    before,
  );
  assert.deepEqual(
    readdirSync(join(root, 'data/containers')).filter((name) => name.startsWith('.')),
    [],
  );
});
