import { Worker } from 'node:worker_threads';
import { EngineError } from '#base/errors.ts';
import { parseDigest } from '#oci/digest.ts';
import type { Blob } from '../content-store.ts';
import type { TreeJob, TreeJobFailure, TreeJobMessage, TreeJobReply } from './tree-job.ts';

export interface TreeThreadsOptions {
  /** Jobs at once; more wait. */
  readonly threads?: number;
  /** The module that threads run. */
  readonly entry?: URL;
}

type StreamJob = Extract<TreeJob, { kind: 'archive' | 'changes' | 'compare' | 'waste' }>;
type LayerJob = Extract<TreeJob, { kind: 'layer' }>;

/** A slow client keeps its thread, so there are some more than processors. */
const DEFAULT_THREADS = 16;
const THREAD_HEAP_MB = 256;
/** Of 256 KiB each, on their way between the threads. */
const CHUNKS_AHEAD = 4;

function errorOf(failure: TreeJobFailure): Error {
  const error = new EngineError(failure.kind, failure.message);
  return failure.code === undefined ? error : Object.assign(error, { code: failure.code });
}

/** One job's thread, its answers, and how far it may run ahead. */
class TreeThread {
  readonly #worker: Worker;
  readonly #flow = new Int32Array(new SharedArrayBuffer(8));
  readonly #answers: TreeJobReply[] = [];
  #wake: (() => void) | null = null;
  #hasEnded = false;
  readonly #exited: Promise<void>;

  constructor(job: TreeJob, entry: URL) {
    Atomics.store(this.#flow, 0, CHUNKS_AHEAD);
    this.#worker = new Worker(entry, { resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB } });
    const lost = (error: Error): void => this.#put({ failure: { kind: 'internal', message: error.message } });
    this.#worker.on('message', (reply: TreeJobReply) => this.#put(reply));
    this.#worker.on('error', lost);
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        lost(new Error('a thread that read a tree ended'));
        resolve();
      });
    });
    this.#worker.postMessage({ job, flow: this.#flow.buffer } satisfies TreeJobMessage);
  }

  #put(reply: TreeJobReply): void {
    this.#answers.push(reply);
    this.#wake?.();
  }

  async next(): Promise<TreeJobReply> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) {
        this.#hasEnded ||= !('chunk' in answer);
        return answer;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }

  /** One more chunk may come. */
  grant(): void {
    Atomics.add(this.#flow, 0, 1);
    Atomics.notify(this.#flow, 0);
  }

  cancel(): void {
    Atomics.store(this.#flow, 1, 1);
    Atomics.add(this.#flow, 0, 1);
    Atomics.notify(this.#flow, 0);
  }

  /** The thread closes what it opened before it ends. */
  async end(): Promise<void> {
    this.cancel();
    while (!this.#hasEnded) await this.next();
    await this.#worker.terminate();
    await this.#exited;
  }
}

/** Runs each job on a thread of its own, a bounded number at once. */
export class TreeThreads {
  readonly #entry: URL;
  readonly #limit: number;
  readonly #running = new Set<TreeThread>();
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  #isClosed = false;

  constructor(options: TreeThreadsOptions = {}) {
    this.#entry = options.entry ?? new URL('./tree-worker.ts', import.meta.url);
    this.#limit = options.threads ?? DEFAULT_THREADS;
  }

  /** Chunks as they come, as slowly as they are asked for. */
  async *stream(job: StreamJob): AsyncGenerator<Buffer> {
    const thread = await this.#start(job);
    try {
      for (;;) {
        const reply = await thread.next();
        if ('failure' in reply) throw errorOf(reply.failure);
        if ('done' in reply) return;
        yield Buffer.from(reply.chunk.buffer, reply.chunk.byteOffset, reply.chunk.byteLength);
        thread.grant();
      }
    } finally {
      await this.#finish(thread);
    }
  }

  /** Writes the file that the job names. */
  async layer(job: LayerJob): Promise<Blob> {
    const thread = await this.#start(job);
    try {
      const reply = await thread.next();
      if ('failure' in reply) throw errorOf(reply.failure);
      if (!('done' in reply) || reply.done === null)
        throw new EngineError('internal', 'a layer thread gave no digest');
      return { digest: parseDigest(reply.done.digest), sizeBytes: reply.done.sizeBytes };
    } finally {
      await this.#finish(thread);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wake of this.#waiting.splice(0)) wake();
    for (const thread of this.#running) thread.cancel();
  }

  async #start(job: TreeJob): Promise<TreeThread> {
    while (this.#taken >= this.#limit && !this.#isClosed)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#isClosed) throw new EngineError('unavailable', 'the engine is shutting down');
    this.#taken++;
    const thread = new TreeThread(job, this.#entry);
    this.#running.add(thread);
    return thread;
  }

  async #finish(thread: TreeThread): Promise<void> {
    try {
      await thread.end();
    } finally {
      this.#running.delete(thread);
      this.#taken--;
      this.#waiting.shift()?.();
    }
  }
}
