import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createKernel } from '../real.ts';

/** By thread: its name and nice value. */
function threads(): readonly { readonly name: string; readonly nice: number }[] {
  return readdirSync('/proc/self/task').map((tid) => {
    const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return { name, nice: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]) };
  });
}

function niceOfThis(): number {
  const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}

// The first of this process: no thread rests yet that was born otherwise.
test("a program that is started by a thread whose first job was a worker's goes before workers", async (t) => {
  const before = niceOfThis();
  const source = `const { createKernel } = await import(${JSON.stringify(import.meta.resolve('../real.ts'))});
    const { threads, files } = createKernel();
    threads.giveWay();
    await files.writeAt(1, new Uint8Array(), 0).catch(() => 0);
    (await import('node:worker_threads')).parentPort.postMessage(1);
    setInterval(() => undefined, 1000);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  t.after(() => worker.terminate());
  await new Promise((resolve) => worker.once('message', resolve));
  const { processes } = createKernel();
  const child = await processes.spawn({ path: '/bin/sh', argv: ['sh', '-c', `exit $(nice)`], env: {} });
  assert.deepEqual(await child.exited, { exitCode: before });
});

/** Scheduling policy and priority, of the main thread and of V8's. */
function policies(): { readonly main: string; readonly computing: readonly string[] } {
  const found = readdirSync('/proc/self/task').map((tid) => {
    const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { tid, isV8: stat.includes('(node-V8Worker)'), policy: `${fields[38]} ${fields[37]}` };
  });
  const main = found.find(({ tid }) => tid === String(process.pid))?.policy ?? '';
  return { main, computing: found.filter(({ isV8 }) => isV8).map(({ policy }) => policy) };
}

/** As a child and its scheduling policy see it. */
async function bornNiceAndPolicy(): Promise<unknown> {
  const script = `exit $(( $(nice) * 10 + $(cut -d ' ' -f 41 /proc/self/stat) ))`;
  const child = await createKernel().processes.spawn({
    path: '/bin/sh',
    argv: ['sh', '-c', script],
    env: {},
  });
  return child.exited;
}

test('workers give way to the main thread and to the pool; children are born as before', async () => {
  const before = niceOfThis();
  const { threads: calls } = createKernel();
  await readFile('/proc/self/stat');
  calls.favourMain();
  assert.equal(niceOfThis(), before);
  const pool = threads().flatMap(({ name, nice }) => (name === 'libuv-worker' ? [nice] : []));
  assert.ok(pool.length > 0 && pool.every((nice) => nice === before), 'requests wait for what it does');
  const source = `const { createKernel } = await import(${JSON.stringify(import.meta.resolve('../real.ts'))});
    createKernel().threads.giveWay(); (await import('node:worker_threads')).parentPort.postMessage(1);
    setInterval(() => undefined, 1000);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  await new Promise((resolve) => worker.once('message', resolve));
  assert.equal(threads().filter(({ nice }) => nice === Math.min(19, before + 10)).length >= 1, true);
  await worker.terminate();
  assert.deepEqual(await bornNiceAndPolicy(), { exitCode: before * 10 });
});

test('the main thread goes before all that is ordinary while somebody asks for it, its children do not', async () => {
  const before = niceOfThis();
  const { threads: calls } = createKernel();
  calls.favourMain();
  const [first, second] = [calls.mainFirst(), calls.mainFirst()];
  const roundRobin = { main: '2 2', computing: policies().computing.map(() => '2 1') };
  assert.ok(roundRobin.computing.length > 0);
  assert.deepEqual(policies(), roundRobin);
  assert.deepEqual(await bornNiceAndPolicy(), { exitCode: before * 10 });
  first();
  first();
  assert.deepEqual(policies(), roundRobin);
  second();
  assert.deepEqual(policies(), { main: '0 0', computing: roundRobin.computing.map(() => '0 0') });
  assert.equal(niceOfThis(), before);
  assert.ok(threads().every(({ name, nice }) => name !== 'node-V8Worker' || nice === before));
});
