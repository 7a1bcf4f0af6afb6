/** Execs, reconnection of the daemon, and the shim's own end, with a fake OCI runtime. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readEndedExecs } from '../../../src/runtime/shim/files.ts';
import { FIELD, type FieldInput, FRAME, intOf, type ShimConnection, textOf } from './shim-connection.ts';
import { logLines, startShim } from './shim-harness.ts';

const ALL = 7;

function execRecords(directory: string): Map<string, number> {
  const lines = readFileSync(join(directory, 'execs'), 'utf8').trim().split('\n');
  return new Map(
    lines.map((line) => {
      const record = JSON.parse(line) as { id: string; exitCode: number };
      return [record.id, record.exitCode];
    }),
  );
}

test('an exec with a reserved client gives output and code, and its record stays', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  const client = await shim.attach(ALL, 'x1');
  const started = await shim.exec('x1', 'cat; echo err >&2; exit 3', [[FIELD.flags, 1]]);
  assert.equal(started.type, FRAME.started);
  client.sendRaw(FRAME.stdin, Buffer.from('hello'));
  client.send(FRAME.stdinEof);
  assert.deepEqual(await client.output(), { stdout: Buffer.from('hello'), stderr: Buffer.from('err\n') });
  const exit = await shim.control.event(FRAME.execExit);
  assert.deepEqual([textOf(exit, FIELD.execId), intOf(exit, FIELD.exitCode)], ['x1', 3]);
  assert.equal(execRecords(shim.directory).get('x1'), 3);
});

test('forty execs at once, each with its own code, some ended before their number is known', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  const ids = Array.from({ length: 40 }, (_, at) => `e${at}`);
  const answers = await Promise.all(ids.map((id, at) => shim.exec(id, `exit ${at}`, [[FIELD.flags, 8]])));
  assert.ok(answers.every((answer) => answer.type === FRAME.started));
  for (const _ of ids) await shim.control.event(FRAME.execExit);
  const records = execRecords(shim.directory);
  assert.deepEqual(
    ids.map((id) => records.get(id)),
    ids.map((_, at) => at),
  );
});

/** As crun: its first process ends while the one that has started the container's is still there. */
const LINGERING_RUNTIME = `my ($file, $script) = @ARGV; pipe my $told, my $tell;
if (!fork) {
  close $_ for $told; my $pid = fork; exec 'sh', '-c', $script if !$pid;
  syswrite $tell, $pid; close $tell; select undef, undef, undef, 0.3; exit;
}
close $tell; open my $out, '>', $file; print $out readline $told; close $out;`;

test('a process whose parent outlives the runtime keeps running, and its status', async (t) => {
  const shim = await startShim(t);
  const call = (file: string, script: string): FieldInput[] => [
    ...['perl', '-e', LINGERING_RUNTIME, file, script].map((word): FieldInput => [FIELD.argv, word]),
    [FIELD.pidFile, file],
    [FIELD.runtimeLog, `${file}.log`],
  ];
  await shim.control.request(FRAME.start, call('init.pid', 'sleep 0.6; exit 6'));
  const short = [[FIELD.execId, 'x1'], ...call('x1.pid', 'exit 5')] as const;
  assert.equal((await shim.control.request(FRAME.exec, short)).type, FRAME.started);
  assert.equal(intOf(await shim.control.event(FRAME.execExit), FIELD.exitCode), 5);
  assert.equal(intOf(await shim.control.event(FRAME.exit), FIELD.exitCode), 6);
});

test('records of execs do not grow for ever: half a MiB, and the half before', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  const file = join(shim.directory, 'execs');
  const end = async (id: string): Promise<void> => {
    await shim.exec(id, 'exit 5', [[FIELD.flags, 8]]);
    await shim.control.event(FRAME.execExit);
  };
  for (const [full, next] of [
    ['a1', 'a2'],
    ['b1', 'b2'],
  ] as const) {
    writeFileSync(file, `${'{"id":"early","pid":1,"exitCode":0}'.padEnd(1023)}\n`.repeat(512));
    await end(full);
    assert.equal(existsSync(file), false);
    await end(next);
    const codes = [...(await readEndedExecs(shim.directory)).values()].map((one) => [
      one.execId,
      one.exit.exitCode,
    ]);
    assert.deepEqual(codes, [
      ['early', 0],
      [full, 5],
      [next, 5],
    ]);
  }
});

test('a failed exec ends its reserved client and leaves the container alone', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  const client = await shim.attach(ALL, 'bad');
  const failed = await shim.control.request(FRAME.exec, [
    [FIELD.execId, 'bad'],
    [FIELD.argv, 'false'],
    [FIELD.pidFile, 'bad.pid'],
  ]);
  assert.equal(intOf(failed, FIELD.runtimeStatus), 1);
  assert.equal((await client.output()).stdout.length, 0);
  await client.closed;
});

test('the daemon goes and comes back: state, process, running execs', async (t) => {
  const shim = await startShim(t);
  const started = await shim.start('echo before; read x; echo after', [[FIELD.flags, 1]]);
  await shim.exec('long', 'exec sleep 1000', [[FIELD.flags, 8]]);
  shim.control.socket.destroy();
  const again = await shim.connect();
  const [hello, init, exec] = await again.hello();
  assert.ok(hello && init && exec);
  assert.equal(intOf(hello, FIELD.state), 2);
  assert.equal(intOf(init, FIELD.pid), intOf(started, FIELD.pid));
  assert.equal(textOf(exec, FIELD.execId), 'long');
  const client = await shim.attach(ALL);
  client.sendRaw(FRAME.stdin, Buffer.from('x\n'));
  // An attach sees what is written from then on; the first line may be so late.
  assert.match((await client.output()).stdout.toString(), /^(before\n)?after\n$/);
  await again.event(FRAME.exit);
  assert.deepEqual(
    logLines(shim.logText()).map(({ log }) => log),
    ['before\n', 'after\n'],
  );
  assert.equal(
    (
      await again.request(FRAME.signal, [
        [FIELD.execId, 'long'],
        [FIELD.signal, 15],
      ])
    ).type,
    FRAME.ok,
  );
  assert.equal((await again.request(FRAME.release)).type, FRAME.ok);
  await again.closed;
  assert.ok(!existsSync(join(shim.directory, 'shim.sock')));
});

test('what ends while no daemon is there is in the exit file, and the shim is gone', async (t) => {
  const shim = await startShim(t);
  await shim.start('read x; exit 9', [[FIELD.flags, 1]]);
  const client = await shim.attach(ALL);
  shim.control.socket.destroy();
  await shim.control.closed;
  client.sendRaw(FRAME.stdin, Buffer.from('\n'));
  await client.closed;
});

test('a connection closed before the start takes the shim along', async (t) => {
  const shim = await startShim(t);
  shim.control.socket.destroy();
  await shim.control.closed;
});

test('broken and oversized frames close the connection and nothing else', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  for (const bytes of [
    Buffer.from([255, 255, 255, 255, 1, 0, 0, 0]),
    Buffer.from([4, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4]),
    Buffer.alloc(64),
  ]) {
    const intruder: ShimConnection = await shim.connect();
    intruder.socket.write(bytes);
    await intruder.closed;
  }
  assert.equal((await shim.control.request(FRAME.release)).type, FRAME.error);
  assert.equal(statSync(join(shim.directory, 'shim.sock')).mode & 0o777, 0o600);
});

test('kills counted by the v2 hierarchy are told as they happen', async (t) => {
  const shim = await startShim(t);
  const directory = mkdtempSync(join(tmpdir(), 'gantry-shim-v2-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const events = join(directory, 'memory.events');
  writeFileSync(events, 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n');
  await shim.start('read x; exit 1', [
    [FIELD.flags, 1],
    [FIELD.oomV2, directory],
  ]);
  writeFileSync(events, 'low 0\nhigh 0\nmax 0\noom 2\noom_kill 2\noom_group_kill 0\n');
  assert.equal(intOf(await shim.control.event(FRAME.oom), FIELD.count), 2);
  await shim.control.request(FRAME.closeStdin);
  assert.equal(intOf(await shim.control.event(FRAME.exit), FIELD.oomKilled), 1);
});
