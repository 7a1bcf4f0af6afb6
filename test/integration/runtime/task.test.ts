import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { newContainerId } from '#base/ids.ts';
import { buildExecProcess, type ExecProcessInput } from '#runtime/spec.ts';
import { StartError } from '#runtime/runtimes.ts';
import type { AttachFrame, AttachOptions, TaskService } from '#runtime/task.ts';
import { TEST_RUNTIME, USES_OWN_RUNTIME } from '../../support/runtimes.ts';
import { cannotRun, makeWorld, readAll, waitFor, type World } from './support.ts';

const ALL: AttachOptions = { stdin: true, stdout: true, stderr: true };

async function exec(
  world: World,
  tasks: TaskService,
  given: { id: string; args: string[]; execId?: string; terminal?: boolean },
) {
  const { id, args, terminal = false } = given;
  const user = { uid: 0, gid: 0, additionalGids: [0], home: '/' };
  const input: ExecProcessInput = { args, env: [], cwd: '', user, terminal, privileged: false };
  const process = buildExecProcess(world.input(id, { args }), input);
  const execId = given.execId ?? newContainerId();
  world.execExits.set(execId, Promise.withResolvers());
  const stream = await tasks.attach(id, execId, ALL);
  const started = tasks.exec(id, {
    execId,
    process,
    terminal,
    stdin: true,
    detach: false,
    consoleSize: { width: 99, height: 33 },
  });
  return { execId, started, stream, exit: world.execExits.get(execId)?.promise };
}

describe('tasks', { skip: cannotRun() }, () => {
  test('exit codes, log file, nothing left in the kernel', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const path = join(world.execRoot, 'log.json');
    const { id, pid } = await world.run(tasks, ['sh', '-c', 'echo out; echo err >&2; exit 7'], {
      request: { log: { path } },
    });
    assert.ok(pid > 1);
    const exit = await world.exited(id);
    assert.deepEqual(
      [exit.exitCode, exit.signal, exit.oomKilled, exit.reason],
      [7, undefined, false, undefined],
    );
    const lines = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { log: string; stream: string });
    assert.deepEqual(
      lines.map(({ log, stream }) => [stream, log]).sort((a, b) => String(a).localeCompare(String(b))),
      [
        ['stderr', 'err\n'],
        ['stdout', 'out\n'],
      ],
    );
    assert.equal(tasks.get(id), undefined);
    await tasks.settled(id);
    assert.ok(!world.kernel.cgroups.exists(`${world.parent}/${id}`));
    if (!USES_OWN_RUNTIME) assert.deepEqual(readdirSync(join(world.execRoot, 'runtimes', TEST_RUNTIME)), []);
    assert.ok(existsSync(join(world.execRoot, 'tasks', id, 'exit')));
    const again = await world.run(tasks, ['true'], { id });
    await tasks.delete(again.id);
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
  });

  test('attached before the start: first byte, standard input, its end', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const id = newContainerId();
    const stream = await tasks.attach(id, null, ALL);
    stream.input?.end('hello\n');
    await world.run(tasks, ['sh', '-c', 'echo first; cat; echo last >&2'], {
      id,
      request: { openStdin: true, stdinOnce: true },
    });
    assert.deepEqual(await readAll(stream), { stdout: 'first\nhello\n', stderr: 'last\n' });
    assert.equal((await world.exited(id)).exitCode, 0);
  });

  test('a slow reader gets every byte', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const id = newContainerId();
    const stream = await tasks.attach(id, null, { stdin: false, stdout: true, stderr: true });
    await world.run(tasks, ['dd', 'if=/dev/zero', 'bs=65536', 'count=128'], { id });
    await world.exited(id);
    let bytes = 0;
    for await (const { stream: name, data } of stream.output as AsyncIterable<{
      stream: string;
      data: Buffer;
    }>) {
      if (name === 'stdout') bytes += data.length;
    }
    assert.equal(bytes, 128 * 65536);
  });

  test('exec: output, exit code, terminal, errors', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const { id } = await world.run(tasks, ['sleep', '60']);
    const plain = await exec(world, tasks, { id, args: ['sh', '-c', 'cat; exit 3'] });
    assert.ok((await plain.started).pid > 1);
    assert.ok(tasks.isExecRunning(id, plain.execId));
    plain.stream.input?.end('typed');
    assert.equal((await readAll(plain.stream)).stdout, 'typed');
    assert.equal((await plain.exit)?.exitCode, 3);
    assert.ok(!tasks.isExecRunning(id, plain.execId));
    const tty = await exec(world, tasks, { id, args: ['stty', 'size'], terminal: true });
    await tty.started;
    assert.equal((await readAll(tty.stream)).stdout, '33 99\r\n');
    const quick = await exec(world, tasks, { id, args: ['true'] });
    await quick.started;
    assert.equal((await quick.exit)?.exitCode, 0);
    const text = 'OCI runtime exec failed: exec failed: unable to start container process: exec: ';
    for (const [command, message, code] of [
      ['nope', '"nope": executable file not found in $PATH', 127],
      ['/tmp', '"/tmp": is a directory: permission denied', 126],
    ] as const) {
      const bad = await exec(world, tasks, { id, args: [command] });
      await assert.rejects(bad.started, (error) => {
        assert.ok(error instanceof StartError);
        assert.deepEqual([error.message, error.exitCode], [text + message, code]);
        return true;
      });
      assert.deepEqual(await readAll(bad.stream), { stdout: '', stderr: '' });
    }
    assert.deepEqual(tasks.execs(id), []);
    await tasks.delete(id);
  });

  test('signals, pids, pause, resize', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const script = 'trap "stty size; exit 5" USR1; echo ready; while :; do sleep 0.05; done';
    const id = newContainerId();
    const stream = await tasks.attach(id, null, ALL);
    let text = '';
    stream.output.on('data', (frame: AttachFrame) => (text += frame.data.toString()));
    const started = await world.run(tasks, ['sh', '-c', script], {
      id,
      spec: { terminal: true },
      request: { consoleSize: { width: 80, height: 24 } },
    });
    assert.ok((await tasks.pids(id)).includes(started.pid));
    await tasks.pause(id);
    assert.equal(tasks.get(id)?.state, 'paused');
    await tasks.resume(id);
    await tasks.resize(id, null, { width: 120, height: 40 });
    await waitFor(() => text.includes('ready'));
    await tasks.signal(id, 10);
    assert.equal((await world.exited(id)).exitCode, 5);
    await waitFor(() => text.endsWith('40 120\r\n'));
    await assert.rejects(tasks.signal(id, 9), (error) => isEngineError(error, 'conflict'));
    const killed = await world.run(tasks, ['sleep', '60']);
    await tasks.signal(killed.id, 9);
    const { exitCode, signal } = await world.exited(killed.id);
    assert.deepEqual([exitCode, signal], [137, 9]);
  });

  test('a failed start has the text of the reference and leaves nothing', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service({ runc: { path: '/usr/sbin/runc' }, gone: { path: '/nonexistent/runtime' } });
    const head =
      'failed to create task for container: failed to create shim task: OCI runtime create failed: ';
    const init = 'runc create failed: unable to start container process: error during container init: ';
    const long = 'a'.repeat(65);
    const cases: [string[], string, number, object][] = [
      [['nope'], `${init}exec: "nope": executable file not found in $PATH`, 127, {}],
      [['/tmp'], `${init}exec: "/tmp": is a directory: permission denied`, 126, {}],
      [['/etc/passwd'], `${init}exec: "/etc/passwd": permission denied`, 126, {}],
      [['true'], `${init}sethostname: invalid argument`, 128, { spec: { hostname: long } }],
      [
        ['true'],
        '/nonexistent/runtime: execute the runtime: no such file or directory',
        128,
        { request: { runtime: 'gone' } },
      ],
    ];
    for (const [args, message, code, options] of cases) {
      const id = newContainerId();
      const stream = await tasks.attach(id, null, ALL);
      await assert.rejects(world.run(tasks, args, { id, ...options }), (error) => {
        assert.ok(error instanceof StartError, String(error));
        assert.deepEqual([error.message, error.exitCode], [head + message, code]);
        return true;
      });
      assert.deepEqual(await readAll(stream), { stdout: '', stderr: '' });
      assert.ok(!world.kernel.cgroups.exists(`${world.parent}/${id}`));
    }
    assert.deepEqual(readdirSync(join(world.execRoot, 'tasks')), []);
    assert.deepEqual(readdirSync(join(world.execRoot, 'runtimes/runc')), []);
    await waitFor(() => world.kernel.cgroups.processes(world.shimCgroup).length === 0);
    await assert.rejects(
      world.run(tasks, ['true'], { request: { runtime: 'other' } }),
      /unknown or invalid runtime name: other/,
    );
  });

  test("another container's namespaces, by its task", async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const { id, pid } = await world.run(tasks, ['sleep', '60']);
    const joined = newContainerId();
    const stream = await tasks.attach(joined, null, { ...ALL, stdin: false });
    const mode = { mode: 'container', id } as const;
    await world.run(tasks, ['sh', '-c', 'for n in pid ipc net; do readlink /proc/self/ns/$n; done'], {
      id: joined,
      spec: { pid: mode, ipc: mode, network: mode },
    });
    const wanted = ['pid', 'ipc', 'net'].map((name) => `${readlinkSync(`/proc/${pid}/ns/${name}`)}\n`);
    assert.equal((await readAll(stream)).stdout, wanted.join(''));
    await tasks.delete(id);
    await assert.rejects(world.run(tasks, ['true'], { spec: { pid: mode } }), (error) =>
      isEngineError(error, 'conflict'),
    );
  });
});
