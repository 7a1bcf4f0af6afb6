/** The shim with the real runc: root file system, terminals, memory limits, network, a killed shim. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FIELD, FRAME, intOf, type ShimConnection, textOf } from './shim-connection.ts';
import { isAlive, logLines, startShim, until } from './shim-harness.ts';
import { cannotRun, memoryDirectory, mountsOf, runcContainer } from './runc-container.ts';

const ALL = 7;
const HIDE_UNIFIED = 4;
const STDIN = 1;
const UNIFIED = '/sys/fs/cgroup/unified';

async function seen(client: ShimConnection, pattern: RegExp): Promise<string> {
  let text = '';
  while (!pattern.test(text))
    text += (await client.take((one) => one.type === FRAME.stdout)).payload.toString();
  return text;
}

describe('the shim with runc', { skip: cannotRun() }, () => {
  test('the root file system is the descriptor, never in the table of the host', async (t) => {
    const container = await runcContainer(t, {
      args: ['sh', '-c', 'ls /bin/busybox; echo err >&2; read x; exit 7'],
      flags: STDIN,
    });
    const client = await container.shim.attach(ALL);
    const started = await container.start();
    assert.equal(started.type, FRAME.started, textOf(started, FIELD.logTail));
    await seen(client, /busybox/);
    assert.ok(!mountsOf('self').includes(container.shim.directory));
    client.sendRaw(FRAME.stdin, Buffer.from('\n'));
    const exit = await container.shim.control.event(FRAME.exit);
    assert.deepEqual([intOf(exit, FIELD.exitCode), intOf(exit, FIELD.oomKilled)], [7, 0]);
    const lines = logLines(container.shim.logText()).map(({ log, stream }) => `${stream} ${log}`);
    assert.deepEqual(lines.sort(), ['stderr err\n', 'stdout /bin/busybox\n']);
    assert.equal((await container.shim.control.request(FRAME.release)).type, FRAME.ok);
  });

  test('a command that does not exist: the text of runc, nothing left', async (t) => {
    const container = await runcContainer(t, { args: ['/no/such'] });
    const failed = await container.start();
    assert.equal(failed.type, FRAME.failed);
    assert.equal(intOf(failed, FIELD.runtimeStatus), 1);
    assert.match(textOf(failed, FIELD.logTail), /no such file or directory/);
    assert.ok(!existsSync(`/sys/fs/cgroup/pids${container.cgroup}`));
  });

  test('a terminal: size from the start, changes of it, input, hang-up', async (t) => {
    const container = await runcContainer(t, {
      args: ['sh', '-c', 'stty size; read x; stty size; read y; echo got $y; tty'],
      terminal: true,
      // The program may ask before the shim has the terminal.
      consoleSize: { width: 91, height: 31 },
    });
    const { shim } = container;
    const client = await shim.attach(ALL);
    const started = await container.start();
    assert.equal(started.type, FRAME.started, textOf(started, FIELD.logTail));
    await seen(client, /31 91\r\n/);
    assert.equal(
      (
        await shim.control.request(FRAME.resize, [
          [FIELD.width, 120],
          [FIELD.height, 40],
        ])
      ).type,
      FRAME.ok,
    );
    client.sendRaw(FRAME.stdin, Buffer.from('a\r'));
    await seen(client, /40 120\r\n/);
    client.sendRaw(FRAME.stdin, Buffer.from('word\r'));
    const { stdout } = await client.output();
    assert.match(stdout.toString(), /got word\r\n\/dev\/(pts\/0|console)\r\n$/);
    assert.equal(intOf(await shim.control.event(FRAME.exit), FIELD.exitCode), 0);
    assert.ok(!existsSync(join(shim.directory, 'console.sock')));
  });

  test('execs, with and without a terminal', async (t) => {
    const container = await runcContainer(t, { args: ['sleep', '1000'] });
    const { shim } = container;
    await container.start();
    const plain = await shim.attach(ALL, 'x1');
    const started = await container.exec('x1', ['sh', '-c', 'cat; echo err >&2; exit 3']);
    assert.equal(started.type, FRAME.started, textOf(started, FIELD.logTail));
    plain.sendRaw(FRAME.stdin, Buffer.from('hello'));
    plain.send(FRAME.stdinEof);
    assert.deepEqual(await plain.output(), { stdout: Buffer.from('hello'), stderr: Buffer.from('err\n') });
    assert.equal(intOf(await shim.control.event(FRAME.execExit), FIELD.exitCode), 3);
    const terminal = await shim.attach(ALL, 'x2');
    await container.exec('x2', ['sh', '-c', 'read x; stty size; exit 4'], { terminal: true });
    const size = [
      [FIELD.execId, 'x2'],
      [FIELD.width, 77],
      [FIELD.height, 22],
    ] as const;
    assert.equal((await shim.control.request(FRAME.resize, size)).type, FRAME.ok);
    terminal.sendRaw(FRAME.stdin, Buffer.from('go\r'));
    assert.match((await terminal.output()).stdout.toString(), /22 77\r\n/);
    assert.equal(intOf(await shim.control.event(FRAME.execExit), FIELD.exitCode), 4);
    const failed = await container.exec('x3', ['/no/such']);
    assert.equal(failed.type, FRAME.failed);
    assert.match(textOf(failed, FIELD.logTail), /no such file or directory/);
  });

  test('kills for lack of memory are counted; the one of the main process is in the record', async (t) => {
    const container = await runcContainer(t, {
      args: [
        'sh',
        '-c',
        'dd if=/dev/zero of=/dev/null bs=100M; echo survived; read x; exec dd if=/dev/zero of=/dev/null bs=100M',
      ],
      memoryBytes: 32 << 20,
      flags: STDIN,
    });
    const client = await container.shim.attach(ALL);
    const directory = memoryDirectory(container.cgroup);
    const field = directory ? FIELD.oomV1 : FIELD.oomV2;
    await container.start([[field, directory ?? `/sys/fs/cgroup${container.cgroup}`]]);
    assert.equal(intOf(await container.shim.control.event(FRAME.oom), FIELD.count), 1);
    await seen(client, /survived/);
    client.sendRaw(FRAME.stdin, Buffer.from('\n'));
    const exit = await container.shim.control.event(FRAME.exit);
    assert.deepEqual([intOf(exit, FIELD.exitCode), intOf(exit, FIELD.oomKilled)], [137, 1]);
    assert.equal(container.shim.exitFile()['oomKilled'], true);
  });

  test('the network namespace is the descriptor of the shim', async (t) => {
    const container = await runcContainer(t, { args: ['readlink', '/proc/self/ns/net'], hasNetwork: true });
    const client = await container.shim.attach(ALL);
    await container.start();
    const expected = readlinkSync(`/proc/${container.shim.pid}/fd/5`);
    assert.notEqual(expected, readlinkSync('/proc/self/ns/net'));
    assert.equal((await client.output()).stdout.toString().trim(), expected);
  });

  test('the unified hierarchy is hidden from the runtime alone, which works without it', {
    skip: !existsSync(UNIFIED) && 'no hybrid cgroups',
  }, async (t) => {
    const shim = await startShim(t);
    const client = await shim.attach(ALL);
    await shim.start(`grep -c ${UNIFIED} /proc/self/mountinfo`, [[FIELD.flags, HIDE_UNIFIED]]);
    assert.equal((await client.output()).stdout.toString(), '0\n');
    const container = await runcContainer(t, { args: ['true'], flags: HIDE_UNIFIED });
    assert.equal((await container.start()).type, FRAME.started);
    assert.equal(intOf(await container.shim.control.event(FRAME.exit), FIELD.exitCode), 0);
    assert.match(mountsOf('self'), / \/sys\/fs\/cgroup\/unified /);
  });

  test('after SIGKILL of the shim the container runs on, and its files tell who it is', async (t) => {
    const container = await runcContainer(t, { args: ['sleep', '1000'], hasNetwork: true });
    const { shim } = container;
    const init = intOf(await container.start(), FIELD.pid);
    const network = readlinkSync(`/proc/${init}/ns/net`);
    process.kill(shim.pid, 'SIGKILL');
    await shim.control.closed;
    assert.ok(await until(() => !isAlive(shim.pid)));
    const record = JSON.parse(readFileSync(join(shim.directory, 'init'), 'utf8')) as { pid: number };
    assert.equal(record.pid, init);
    assert.ok(isAlive(init) && readlinkSync(`/proc/${init}/ns/net`) === network);
    assert.ok(existsSync(join(shim.directory, 'shim.pid')) && existsSync(join(shim.directory, 'shim.sock')));
    assert.ok(!existsSync(join(shim.directory, 'exit')));
    assert.ok(!mountsOf('self').includes(shim.directory));
    process.kill(init, 'SIGKILL');
    assert.ok(await until(() => !isAlive(init)));
  });
});
