import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createKernel } from '../real.ts';
import { errnoNumber } from './errno.ts';
import { loadNative } from './native.ts';
import { addressBytes, addressText } from './socket-address.ts';
import { one, type Operation, Sys } from './sys.ts';
import { syscallNumbers } from './syscall-numbers.ts';
import { parseOsRelease } from './system.ts';

const code = (name: string) => (error: unknown) => (error as { code?: string }).code === name;

test('a call that hangs is given up after its deadline and keeps its place among the threads', async () => {
  const sys = new Sys(loadNative(), { threads: 1, deadlineMs: 50 });
  const fds = new Int32Array(2);
  sys.call(undefined, 'socketpair', 1, 1, 0, fds);
  const [near = -1, far = -1] = fds;
  const buffer = Buffer.alloc(1);
  await assert.rejects(sys.later(one(undefined, 'read', near, buffer, 1)), code('ETIMEDOUT'));
  let served = false;
  const next = sys.later(one(undefined, 'write', far, Buffer.from('x'), 1), 1000).then(() => {
    served = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(served, false, 'the only thread is still busy');
  sys.raw('write', far, Buffer.from('y'), 1);
  await next;
  sys.raw('close', near);
  sys.raw('close', far);
});

test('what is opened after its deadline is closed again', async () => {
  const sys = new Sys(loadNative(), { threads: 1, deadlineMs: 50 });
  const directory = mkdtempSync(join(tmpdir(), 'gantry-late-'));
  const fifo = join(directory, 'fifo');
  sys.call(fifo, 'mknodat', -100, Buffer.from(`${fifo}\0`), 0o010_600, 0);
  const openOnes = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === fifo;
      } catch {
        return false;
      }
    }).length;
  // Without a writer the reader's open waits.
  const reading = one(fifo, 'openat', -100, Buffer.from(`${fifo}\0`), 0, 0);
  await assert.rejects(sys.later(reading), code('ETIMEDOUT'));
  const writer = openSync(fifo, 'r+');
  // The only thread takes the next call when the late open came back; its descriptor is closed after that.
  await sys.later(one(undefined, 'fchmod', writer, 0o600), 1000);
  for (let i = 0; i < 500 && openOnes() !== 1; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(openOnes(), 1, 'only the writer is left');
  closeSync(writer);
  rmSync(directory, { recursive: true });
});

test('arguments of the wrong type are refused, not passed', () => {
  const native = loadNative();
  assert.throws(() => Reflect.apply(native.syscall, native, [0, {}]), /neither number/);
  assert.throws(() => Reflect.apply(native.syscallsAsync, native, [[]]), /empty/);
});

test('every architecture has a number of its own for every call', () => {
  for (const architecture of ['x64', 'arm64']) {
    const numbers = Object.values(syscallNumbers(architecture) ?? {});
    assert.ok(numbers.length > 0);
    assert.equal(new Set(numbers).size, numbers.length, architecture);
  }
  assert.equal(syscallNumbers('mips'), undefined);
});

test('addresses to bytes and back', () => {
  for (const address of [
    '0.0.0.0',
    '172.17.0.2',
    '::',
    '::1',
    'fd00::1',
    'fe80::42:acff:fe11:2',
    '1:0:0:2::3',
  ]) {
    assert.equal(addressText(addressBytes(address)), address);
  }
  assert.equal(addressBytes('::ffff:10.0.0.1').toString('hex'), '00000000000000000000ffff0a000001');
  assert.throws(() => addressBytes('10.0.0'), code('EINVAL'));
  assert.throws(() => addressBytes('fe80::1%eth0'), code('EINVAL'));
});

test('facts of this machine', () => {
  const { system } = createKernel();
  const facts = system.facts();
  assert.match(facts.kernelVersion, /^\d+\.\d+/);
  assert.match(facts.bootId, /^[0-9a-f-]{36}$/);
  assert.ok(facts.memoryBytes > 0 && facts.cpus > 0 && facts.operatingSystem !== '');
  assert.equal(system.hasApparmorProfile('no such profile'), false);
  assert.match(system.readSysctl('net/ipv4/ip_forward') ?? '', /^[01]$/);
  assert.equal(system.readSysctl('no/such'), null);
  const parsed = parseOsRelease('NAME="A \\"b\\""\nVERSION_ID=12\n# c\nPRETTY_NAME=\'x y\'\n');
  assert.deepEqual([...parsed.values()], ['A "b"', '12', 'x y']);
});

test('a sysctl of a network namespace leaves ours alone', async () => {
  const { system, namespaces, files } = createKernel();
  const netns = await namespaces.createNetwork();
  const before = system.readSysctl('net/ipv4/ip_default_ttl');
  system.writeSysctl('net/ipv4/ip_default_ttl', '77', netns);
  assert.equal(system.readSysctl('net/ipv4/ip_default_ttl', netns), '77');
  assert.equal(system.readSysctl('net/ipv4/ip_default_ttl'), before);
  files.close(netns);
});

test('a batch hands results on, stores them in bytes, and stops in a chain at the first failure', async () => {
  const sys = new Sys(loadNative());
  const directory = mkdtempSync(join(tmpdir(), 'gantry-batch-'));
  const file = join(directory, 'f');
  const text = Buffer.from('hello');
  const slot = Buffer.alloc(8);
  const twice = Buffer.alloc(8);
  const CREATE = 0o102;
  function* work(): Operation<readonly number[]> {
    return yield [
      ['openat', -100, file, CREATE, 0o600],
      ['store', slot, 4, [0]],
      ['copy', twice, 0, slot, 4],
      ['chain'],
      ['write', [0], text, text.length],
      ['mkdirat', -100, directory, 0o700],
      ['unlinkat', -100, file, 0],
      ['close', [5]],
      ['close', [0]],
    ];
  }
  for (const way of ['later', 'now'] as const) {
    const results = await sys[way](work());
    const [fd = -1] = results;
    assert.ok(fd > 0);
    assert.equal(slot.readInt32LE(4), fd);
    assert.equal(twice.readInt32LE(0), fd);
    const canceled = -errnoNumber('ECANCELED');
    assert.deepEqual(results.slice(1), [0, 0, 0, 5, -errnoNumber('EEXIST'), canceled, canceled, 0], way);
    assert.equal(readFileSync(file, 'utf8'), 'hello');
  }
  rmSync(directory, { recursive: true });
});

test('calls before a batch change nothing in what it says of its own results', async () => {
  const sys = new Sys(loadNative());
  const slot = Buffer.alloc(4);
  function* work(): Operation<readonly number[]> {
    return yield [
      ['openat', -100, '/', 0o2000000, 0],
      ['store', slot, 0, [0]],
      ['close', [0]],
    ];
  }
  const first = [
    ['setfsgid', 7],
    ['setfsuid', 7],
  ] as const;
  const [fd = -1, ...rest] = await sys.later(work(), 1000, first);
  assert.ok(fd > 0);
  assert.deepEqual(rest, [0, 0]);
  assert.equal(slot.readInt32LE(0), fd);
  assert.match(readFileSync('/proc/self/status', 'utf8'), /^Uid:(\t0){4}$/m);
});

test('many jobs at once, then more on the threads that stayed', async () => {
  const sys = new Sys(loadNative());
  for (let round = 0; round < 3; round++) {
    const all = Array.from({ length: 100 }, () => sys.later(one(undefined, 'fchmod', -1, 0)));
    for (const result of await Promise.allSettled(all)) assert.equal(result.status, 'rejected');
  }
});

const source = (of: string): string => JSON.stringify(import.meta.resolve(of));

/** Has a call that hangs, and short ones all the time. */
const BUSY_WORKER = `
  const { parentPort, workerData } = await import('node:worker_threads');
  const { loadNative } = await import(${source('./native.ts')});
  const { one, Sys } = await import(${source('./sys.ts')});
  const sys = new Sys(loadNative());
  sys.later(one(undefined, 'read', workerData, Buffer.alloc(1), 1), 60_000).catch(() => 0);
  const again = () => sys.later(one(undefined, 'fchmod', -1, 0)).catch(() => void setImmediate(again));
  for (let i = 0; i < 8; i++) again();
  setTimeout(() => parentPort.postMessage('busy'), 10);`;

/** Has a batch whose first call waits for somebody who writes to a pipe; it uses no memory of the worker. */
const HANGING_WORKER = `
  const { parentPort, workerData } = await import('node:worker_threads');
  const { loadNative } = await import(${source('./native.ts')});
  const { Sys } = await import(${source('./sys.ts')});
  const calls = function* () {
    return yield [['openat', -100, workerData.fifo, 0, 0], ['write', workerData.far, Buffer.from('x'), 1]];
  };
  new Sys(loadNative()).later(calls(), 60_000).catch(() => 0);
  setTimeout(() => parentPort.postMessage('hangs'), 50);`;

test('a worker that ends in the middle of its calls waits for them: they use its memory', async () => {
  const sys = new Sys(loadNative());
  for (let round = 0; round < 10; round++) {
    const fds = new Int32Array(2);
    sys.call(undefined, 'socketpair', 1, 1, 0, fds);
    const [near = -1, far = -1] = fds;
    const url = new URL(`data:text/javascript,${encodeURIComponent(BUSY_WORKER)}`);
    const worker = new Worker(url, { workerData: near });
    await new Promise((resolve) => worker.once('message', resolve));
    let written = false;
    setTimeout(() => {
      written = true;
      sys.raw('write', far, Buffer.from('x'), 1);
    }, 20);
    await worker.terminate();
    assert.ok(written);
    const all = Array.from({ length: 20 }, () => sys.later(one(undefined, 'fchmod', -1, 0)));
    for (const result of await Promise.allSettled(all)) assert.equal(result.status, 'rejected');
    sys.raw('close', near);
    sys.raw('close', far);
  }
});

test('a call that hangs for longer is given up with its worker; the rest of its batch is not done', async () => {
  const sys = new Sys(loadNative());
  const directory = mkdtempSync(join(tmpdir(), 'gantry-hangs-'));
  const fifo = join(directory, 'fifo');
  sys.call(fifo, 'mknodat', -100, Buffer.from(`${fifo}\0`), 0o010_600, 0);
  const fds = new Int32Array(2);
  sys.call(undefined, 'socketpair', 1, 1, 0, fds);
  const [near = -1, far = -1] = fds;
  const url = new URL(`data:text/javascript,${encodeURIComponent(HANGING_WORKER)}`);
  const worker = new Worker(url, { workerData: { fifo, far } });
  await new Promise((resolve) => worker.once('message', resolve));
  const began = performance.now();
  await worker.terminate();
  const tookMs = performance.now() - began;
  assert.ok(tookMs > 4000 && tookMs < 20_000, `${tookMs} ms`);
  // The open ends now; what would be written after it would be heard.
  closeSync(openSync(fifo, 'r+'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const MSG_DONTWAIT = 0x40;
  const heard = sys.raw('recvfrom', near, Buffer.alloc(8), 8, MSG_DONTWAIT, 0, 0);
  assert.equal(heard, -errnoNumber('EAGAIN'));
  sys.raw('close', near);
  sys.raw('close', far);
  rmSync(directory, { recursive: true });
});
