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
const IDLE_MS = 3000;

function errorOf(failure: TreeJobFailure): Error {
  const error = new EngineError(failure.kind, failure.message);
  return failure.code === undefined ? error : Object.assign(error, { code: failure.code });
}

/** A thread, the answers to its job, and how far it may run ahead. */
class TreeThread {
  readonly #worker: Worker;
  #flow = new Int32Array(new SharedArrayBuffer(8));
  readonly #answers: TreeJobReply[] = [];
  #wake: (() => void) | null = null;
  #isBusy = false;
  #isLost = false;
  idleTimer: NodeJS.Timeout | null = null;

  constructor(entry: URL) {
    this.#worker = new Worker(entry, { resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB } });
    this.#worker.on('message', (reply: TreeJobReply) => this.#put(reply));
    this.#worker.on('error', (error: Error) => this.#lost(error));
    this.#worker.on('exit', () => this.#lost(new Error('a thread that read a tree ended')));
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  start(job: TreeJob): void {
    this.#worker.ref();
    this.#isBusy = true;
    this.#answers.length = 0;
    this.#flow = new Int32Array(new SharedArrayBuffer(8));
    Atomics.store(this.#flow, 0, CHUNKS_AHEAD);
    this.#worker.postMessage({ job, flow: this.#flow.buffer } satisfies TreeJobMessage);
  }

  #put(reply: TreeJobReply): void {
    this.#answers.push(reply);
    this.#wake?.();
  }

  #lost(error: Error): void {
    this.#isLost = true;
    this.#put({ failure: { kind: 'internal', message: error.message } });
  }

  async next(): Promise<TreeJobReply> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) {
        if (!('chunk' in answer)) this.#isBusy = false;
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

  /** Ends the job: the thread closes what it opened. An idle thread keeps no process alive. */
  async settle(): Promise<void> {
    this.cancel();
    while (this.#isBusy) await this.next();
    this.#worker.unref();
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

/**
 * Runs each job on a thread of its own, a bounded number at once. One that is done waits a moment for more: a
 * thread takes longer to start than most trees to read.
 */
export class TreeThreads {
  readonly #entry: URL;
  readonly #limit: number;
  readonly #running = new Set<TreeThread>();
  #idle: TreeThread | null = null;
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
    await this.#retire();
  }

  async #start(job: TreeJob): Promise<TreeThread> {
    while (this.#taken >= this.#limit && !this.#isClosed)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#isClosed) throw new EngineError('unavailable', 'the engine is shutting down');
    this.#taken++;
    const thread = this.#takeIdle() ?? new TreeThread(this.#entry);
    this.#running.add(thread);
    thread.start(job);
    return thread;
  }

  #takeIdle(): TreeThread | null {
    const thread = this.#idle;
    this.#idle = null;
    if (thread?.idleTimer) clearTimeout(thread.idleTimer);
    return thread?.isLost === true ? null : thread;
  }

  async #finish(thread: TreeThread): Promise<void> {
    try {
      await thread.settle();
      await this.#keep(thread);
    } finally {
      this.#running.delete(thread);
      this.#taken--;
      this.#waiting.shift()?.();
    }
  }

  async #keep(thread: TreeThread): Promise<void> {
    if (this.#isClosed || this.#idle !== null || thread.isLost) return thread.terminate();
    thread.idleTimer = setTimeout(() => void this.#retire(), IDLE_MS).unref();
    this.#idle = thread;
  }

  async #retire(): Promise<void> {
    await this.#takeIdle()?.terminate();
  }
}
