import { Worker } from 'node:worker_threads';
import { EngineError } from '#base/errors.ts';
import type { LayerJob, LayerJobMessage, LayerJobReply, LayerJobResult } from './apply-job.ts';

interface Task {
  readonly job: LayerJob;
  readonly resolve: (result: LayerJobResult) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  task: Task | null;
  idleTimer: NodeJS.Timeout | null;
}

export interface WorkerPoolOptions {
  readonly threads: number;
  /** The module that threads run. */
  readonly entry?: URL;
  /** A thread without work ends after this time: it costs about ten megabytes. */
  readonly idleMs?: number;
}

const DEFAULT_IDLE_MS = 3000;
const THREAD_HEAP_MB = 256;

/** Runs layer jobs on at most `threads` threads, first come first served, one job per thread at a time. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #threads = new Set<Thread>();
  readonly #queue: Task[] = [];
  #nextId = 1;
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  run(job: LayerJob): Promise<LayerJobResult> {
    if (this.#closed)
      return Promise.reject(new EngineError('unavailable', 'the layer store is shutting down'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#queue.splice(0))
      task.reject(new EngineError('unavailable', 'the layer store is shutting down'));
    await Promise.all([...this.#threads].map((thread) => thread.worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      let thread = [...this.#threads].find((candidate) => candidate.task === null);
      if (thread === undefined) {
        if (this.#threads.size >= this.#options.threads) return;
        thread = this.#start();
      }
      const task = this.#queue.shift();
      if (task === undefined) return;
      if (thread.idleTimer !== null) clearTimeout(thread.idleTimer);
      thread.idleTimer = null;
      thread.task = task;
      thread.worker.ref();
      const message: LayerJobMessage = { id: this.#nextId++, job: task.job };
      thread.worker.postMessage(message);
    }
  }

  #start(): Thread {
    const worker = new Worker(this.#options.entry ?? new URL('./apply-worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB },
    });
    const thread: Thread = { worker, task: null, idleTimer: null };
    this.#threads.add(thread);
    worker.on('message', (reply: LayerJobReply) => this.#settle(thread, reply));
    worker.on('error', (error: Error) => this.#lost(thread, error));
    worker.on('exit', () => this.#lost(thread, new EngineError('internal', 'a layer thread ended')));
    return thread;
  }

  #settle(thread: Thread, reply: LayerJobReply): void {
    const { task } = thread;
    thread.task = null;
    // An idle thread keeps no process alive.
    thread.worker.unref();
    thread.idleTimer = setTimeout(
      () => this.#retire(thread),
      this.#options.idleMs ?? DEFAULT_IDLE_MS,
    ).unref();
    if (task !== null) {
      if ('result' in reply) task.resolve(reply.result);
      else {
        const error = new EngineError(reply.failure.kind, reply.failure.message);
        task.reject(
          reply.failure.code === undefined ? error : Object.assign(error, { code: reply.failure.code }),
        );
      }
    }
    this.#dispatch();
  }

  #retire(thread: Thread): void {
    if (thread.task !== null) return;
    this.#threads.delete(thread);
    void thread.worker.terminate();
  }

  #lost(thread: Thread, error: Error): void {
    this.#threads.delete(thread);
    if (thread.idleTimer !== null) clearTimeout(thread.idleTimer);
    const { task } = thread;
    thread.task = null;
    task?.reject(error);
    if (!this.#closed) this.#dispatch();
  }
}
