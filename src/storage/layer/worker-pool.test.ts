import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import type { CompressJob } from './apply-job.ts';
import { WorkerPool } from './worker-pool.ts';

const JOB: CompressJob = { kind: 'compress', path: 'from', target: 'to' };

/** Answers each job after a while with what it was asked. */
const ANSWERING = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, job }) => setTimeout(() => parentPort.postMessage({ id, result: job }), 50));`)}`,
);
/** Answers as that one; jobs of a client that sends nothing when they are cancelled. */
const STALLING = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, job, cancel }) => {
      if (cancel || job.path !== 'stalled') parentPort.postMessage({ id, result: job ?? null });
    });`)}`,
);
/** `new Worker` throws at once, as it does where the kernel gives no more threads. */
const REFUSED = new URL('https://registry.example/worker.js');

/** The threads of the pool start with these, in turn. */
function poolOf(t: { after: (work: () => Promise<void>) => void }, entries: readonly URL[]): WorkerPool {
  const left = [...entries];
  const pool = new WorkerPool({
    threads: entries.length,
    get entry() {
      return left.shift() ?? ANSWERING;
    },
  });
  t.after(() => pool.close());
  return pool;
}

const isRefusal = (error: unknown): boolean =>
  isEngineError(error, 'internal') && /thread cannot be started/.test(String(error));

test('a job for which no thread starts fails, and is not done later', async (t) => {
  const pool = poolOf(t, [REFUSED, ANSWERING]);
  await assert.rejects(pool.run(JOB), isRefusal);
  assert.deepEqual(await pool.run({ ...JOB, path: 'second' }), { ...JOB, path: 'second' });
});

test('nor does it end the process where its thread was to start in a later turn', async (t) => {
  const pool = poolOf(t, [ANSWERING, REFUSED, ANSWERING]);
  const paths = ['first', 'second', 'third'];
  const [first, second, third] = await Promise.allSettled(paths.map((path) => pool.run({ ...JOB, path })));
  assert.deepEqual(first, { status: 'fulfilled', value: { ...JOB, path: 'first' } });
  assert.ok(second?.status === 'rejected' && isRefusal(second.reason));
  assert.deepEqual(third, { status: 'fulfilled', value: { ...JOB, path: 'third' } });
});

test('a rehearsal takes no job, and fails none', async (t) => {
  const pool = poolOf(t, [REFUSED, ANSWERING, ANSWERING]);
  pool.rehearse();
  pool.rehearse();
  assert.deepEqual(await pool.run(JOB), JOB);
});

test('the main thread goes first while there is a job', async (t) => {
  const told: string[] = [];
  const mainFirst = (): (() => void) => {
    told.push('first');
    return () => void told.push('calm');
  };
  const pool = new WorkerPool({ threads: 1, entry: ANSWERING, mainFirst });
  t.after(() => pool.close());
  await pool.run(JOB);
  assert.deepEqual(told, ['first', 'calm']);
});

test('jobs of clients that send nothing leave a place to others, and their own wait', async (t) => {
  const pool = new WorkerPool({ threads: 2, entry: STALLING });
  t.after(() => pool.close());
  const stop = new AbortController();
  const stalled = Array.from({ length: 4 }, () =>
    pool.run({ ...JOB, path: 'stalled' }, { isSent: true, signal: stop.signal }).catch(() => 'stopped'),
  );
  const sent = pool.run({ ...JOB, path: 'sent' }, { isSent: true });
  const first = await Promise.race([pool.run(JOB).then(() => 'another'), sent.then(() => 'sent')]);
  assert.equal(first, 'another');
  stop.abort();
  assert.deepEqual(await sent, { ...JOB, path: 'sent' });
  await Promise.all(stalled);
});

test('they leave it also where a large window may make places fewer', async (t) => {
  const pool = new WorkerPool({ threads: 3, entry: STALLING });
  t.after(() => pool.close());
  const stop = new AbortController();
  let ended = 0;
  const stalled = Array.from({ length: 6 }, () =>
    pool
      .run({ ...JOB, path: 'stalled' }, { isSent: true, signal: stop.signal })
      .catch(() => 0)
      .then(() => ended++),
  );
  // Two threads have four places.
  const others = Array.from({ length: 3 }, (_, index) => pool.run({ ...JOB, path: `other ${index}` }));
  assert.equal((await Promise.all(others)).length, 3);
  assert.equal(ended, 0);
  stop.abort();
  await Promise.all(stalled);
});
