/** Standard streams, log, attach and exit of one container, with a fake OCI runtime. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FIELD, FRAME, intOf, textOf } from './shim-connection.ts';
import { isAlive, logLines, startShim, until } from './shim-harness.ts';

const OUTPUT = 6;
const ALL = 7;
/** The shim waits ten seconds for a client to close. */
const STAY_LIMIT_MS = 12_000;

test('an attached client sees the first byte, both streams and the end; the log has the same', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(OUTPUT);
  const started = await shim.start('echo out; echo err >&2; exit 7');
  assert.equal(started.type, FRAME.started);
  const exit = await shim.control.event(FRAME.exit);
  assert.equal(intOf(exit, FIELD.exitCode), 7);
  assert.equal(intOf(exit, FIELD.pid), intOf(started, FIELD.pid));
  assert.deepEqual(await client.output(), { stdout: Buffer.from('out\n'), stderr: Buffer.from('err\n') });
  const lines = logLines(shim.logText());
  assert.deepEqual(lines.map(({ log, stream }) => `${stream} ${log}`).sort(), [
    'stderr err\n',
    'stdout out\n',
  ]);
  assert.equal(shim.exitFile()['exitCode'], 7);
});

test('a client that wants one stream gets that one', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(4);
  await shim.start('echo out; echo err >&2; echo out; echo err2 >&2');
  assert.deepEqual(await client.output(), { stdout: Buffer.alloc(0), stderr: Buffer.from('err\nerr2\n') });
});

test('log lines are escaped, split and left open as in the reference', async (t) => {
  const shim = await startShim(t);
  const long = 'x'.repeat(16384);
  writeFileSync(
    join(shim.directory, 'data'),
    Buffer.concat([
      Buffer.from('<a href="x">&\\\t\r\u2028\u00e9\u{1f600}\u007f\u0001\n'),
      Buffer.from([0xff, 0xc3, 0x28, 0xe2, 0x82, 0x0a]),
      Buffer.from(`${long}\n${long}yz\nopen`),
    ]),
  );
  await shim.start('cat data');
  await shim.control.event(FRAME.exit);
  const raw = shim
    .logText()
    .split('\n')
    .map((line) => line.replace(/,"time":"[^"]+"/, ''));
  const line = (log: string): string => `{"log":"${log}","stream":"stdout"}`;
  assert.deepEqual(raw, [
    line('\\u003ca href=\\"x\\"\\u003e\\u0026\\\\\\u0009\\r\\u2028\u00e9\u{1f600}\u007f\\u0001\\n'),
    line('\\ufffd\\ufffd(\\ufffd\\ufffd\\n'),
    line(long),
    line('\\n'),
    line(long),
    line('yz\\n'),
    line('open'),
    '',
  ]);
  const times = shim.logText().match(/"time":"([^"]+)"/g) ?? [];
  assert.match(times[0] ?? '', /^"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z"$/);
});

test('the log rotates by size and keeps the files asked for', async (t) => {
  const shim = await startShim(t);
  await shim.start('i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done', [
    [FIELD.logMaxSize, 1000],
    [FIELD.logMaxFile, 3],
    [FIELD.logAttrs, '{"k":"v"}'],
  ]);
  await shim.control.event(FRAME.exit);
  const names = ['c-json.log.2', 'c-json.log.1', 'c-json.log'];
  const texts = names.map((name) => readFileSync(join(shim.directory, name), 'utf8'));
  assert.ok(texts.slice(0, 2).every((text) => text.length >= 1000 && text.length < 1200));
  assert.ok(!existsSync(join(shim.directory, 'c-json.log.3')));
  const kept = logLines(texts.join('')).map(({ log }) => Number(log.slice(5)));
  assert.deepEqual(
    kept,
    kept.map((_, at) => 100 - kept.length + at),
  );
  assert.match(texts[0] ?? '', /"stream":"stdout","attrs":\{"k":"v"\},"time"/);
});

test('stdin reaches the process, with the end of it when it is open once', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(ALL);
  const big = Buffer.alloc(300_000, 'abcdefgh\n');
  for (let at = 0; at < big.length; at += 60_000) client.sendRaw(FRAME.stdin, big.subarray(at, at + 60_000));
  client.send(FRAME.stdinEof);
  await shim.start('cat; echo done', [[FIELD.flags, 3]]);
  const { stdout } = await client.output();
  assert.equal(stdout.toString(), `${big.toString()}done\n`);
});

test('closing stdin by command, and a client that half-closes', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(ALL);
  await shim.start('cat; echo end', [[FIELD.flags, 1]]);
  client.sendRaw(FRAME.stdin, Buffer.from('one\n'));
  assert.equal((await client.take((frame) => frame.type === FRAME.stdout)).payload.toString(), 'one\n');
  client.socket.end();
  assert.equal((await shim.control.request(FRAME.closeStdin)).type, FRAME.ok);
  assert.equal((await shim.control.event(FRAME.exit)).type, FRAME.exit);
  assert.match(shim.logText(), /end/);
});

test('a signal ends the process and is in the record', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  assert.equal((await shim.control.request(FRAME.signal, [[FIELD.signal, 9]])).type, FRAME.ok);
  const exit = await shim.control.event(FRAME.exit);
  assert.equal(intOf(exit, FIELD.exitCode), 137);
  assert.equal(intOf(exit, FIELD.signal), 9);
  assert.equal((await shim.control.request(FRAME.signal, [[FIELD.signal, 9]])).type, FRAME.error);
});

test('a failed start tells the status, the log and stderr, and nothing reaches the container log', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(OUTPUT);
  const failed = await shim.control.request(FRAME.start, [
    ...['sh', '-c', 'echo said >&2; echo "{}" > rt.log; exit 5'].map((word) => [FIELD.argv, word] as const),
    [FIELD.pidFile, 'init.pid'],
    [FIELD.runtimeLog, 'rt.log'],
    [FIELD.logPath, join(shim.directory, 'c-json.log')],
  ]);
  assert.equal(failed.type, FRAME.failed);
  assert.equal(intOf(failed, FIELD.runtimeStatus), 5);
  assert.equal(textOf(failed, FIELD.logTail), '{}\n');
  assert.equal(textOf(failed, FIELD.stderrTail), 'said\n');
  assert.equal((await client.output()).stderr.length, 0);
  assert.equal(shim.logText(), '');
});

test('a runtime that does not exist is said with errno', async (t) => {
  const shim = await startShim(t);
  const failed = await shim.control.request(FRAME.start, [
    [FIELD.argv, '/no/such/runtime'],
    [FIELD.pidFile, 'init.pid'],
  ]);
  assert.equal(intOf(failed, FIELD.errno), 2);
  assert.equal(intOf(failed, FIELD.runtimeStatus), 127);
});

test('a reader that stops loses nothing: ring, spill file, and at the limit the process waits', async (t) => {
  const shim = await startShim(t);
  const slow = await shim.attach(OUTPUT);
  slow.socket.pause();
  const quick = await shim.attach(2);
  await shim.start('head -c 20000000 /dev/zero | tr "\\0" z; echo; echo last', [
    [FIELD.spillLimit, 64 << 20],
  ]);
  const all = (await quick.output()).stdout;
  assert.equal(all.length, 20_000_006);
  await shim.control.event(FRAME.exit);
  slow.socket.resume();
  assert.ok((await slow.output()).stdout.equals(all));
});

test('at the spill limit the process waits for the slow reader', async (t) => {
  const shim = await startShim(t);
  const slow = await shim.attach(OUTPUT);
  slow.socket.pause();
  const quick = await shim.attach(2);
  await shim.start('head -c 9000000 /dev/zero; echo x', [[FIELD.spillLimit, 1 << 20]]);
  await quick.take((frame) => frame.type === FRAME.stdout);
  slow.socket.resume();
  assert.equal((await slow.output()).stdout.length, 9_000_002);
  assert.equal(intOf(await shim.control.event(FRAME.exit), FIELD.exitCode), 0);
});

test('input that comes while the process ends costs nothing of its output', async (t) => {
  const shim = await startShim(t);
  await shim.start('exec sleep 1000');
  for (let round = 0; round < 50; round++) {
    const client = await shim.attach(ALL, `e${round}`);
    const writer = setInterval(() => client.sendRaw(FRAME.stdin, Buffer.from('input')), 0);
    try {
      await shim.exec(`e${round}`, 'head -c 100000 /dev/zero; echo end', [[FIELD.flags, 1]]);
      assert.equal((await client.output()).stdout.length, 100_004, `round ${round}`);
    } finally {
      clearInterval(writer);
    }
  }
});

test('a client that has everything and never closes does not hold the shim for ever', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(ALL);
  client.socket.allowHalfOpen = true;
  await shim.start('echo end');
  assert.equal((await client.output()).stdout.toString(), 'end\n');
  await shim.control.request(FRAME.release);
  client.sendRaw(FRAME.stdin, Buffer.from('for nobody'));
  await delay(100);
  assert.ok(isAlive(shim.pid));
  assert.ok(await until(() => !isAlive(shim.pid), STAY_LIMIT_MS));
});
