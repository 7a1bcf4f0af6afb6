import { Worker } from 'node:worker_threads';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { LayerJob, LayerJobFailure, LayerJobMessage, LayerJobReply, ResultOf } from './apply-job.ts';
import { Urgency } from './urgency.ts';
import { WindowBudget } from './window-budget.ts';

export interface JobOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the job's source that were read, some times a second. */
  readonly onRead?: (readBytes: number) => void;
  /** A client sends what it reads, and may never go on: such jobs leave a place to others. */
  readonly isSent?: boolean;
}

interface Task {
  readonly id: number;
  readonly job: LayerJob;
  readonly options: JobOptions;
  readonly urgency: Urgency;
  readonly resolve: (result: ResultOf<LayerJob>) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly tasks: Map<number, Task>;
  idleTimer: NodeJS.Timeout | null;
}

export interface WorkerPoolOptions {
  readonly threads: number;
  /** The module that threads run. */
  readonly entry?: URL;
  /** A thread without work ends after this time: it costs about ten megabytes. */
  readonly idleMs?: number;
  /**
   * Asked while a job gets on, until its answer is called: has the calling thread go before those of the
   * pool.
   */
  readonly mainFirst?: () => () => void;
}

const DEFAULT_IDLE_MS = 3000;
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 8 };
/** Jobs that wait for bytes leave their thread to others. */
const JOBS_PER_THREAD = 2;
/** While a large window is open, or waited for: the memory of further ones is its. */
const THREADS_BESIDE_LARGE = 2;

/** The code of the error of jobs whose thread ended under them, perhaps by another job's fault. */
export const THREAD_LOST = 'THREAD_LOST';

function closing(): EngineError {
  return new EngineError('unavailable', 'the layer store is shutting down');
}

function errorOf(failure: LayerJobFailure): EngineError {
  const { kind, message, hint, code } = failure;
  const error = new EngineError(kind, message, hint === undefined ? {} : { hint });
  return code === undefined ? error : Object.assign(error, { code });
}

/** Runs layer jobs on at most `threads` threads, first come first served, each on the one with least to do. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #threads = new Set<Thread>();
  readonly #queue: Task[] = [];
  readonly #windows = new WindowBudget();
  #nextId = 1;
  #isStarting = false;
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Errors: the job's, the signal's reason, `internal` (with the code `THREAD_LOST`, or no thread starts). */
  async run<J extends LayerJob>(job: J, options: JobOptions = {}): Promise<ResultOf<J>> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw closing();
    const id = this.#nextId++;
    const cancel = (): void => this.#cancel(id);
    signal?.addEventListener('abort', cancel, { once: true });
    const { mainFirst = () => () => undefined } = this.#options;
    const urgency = new Urgency({ mainFirst });
    urgency.gotOn();
    try {
      return await new Promise<ResultOf<J>>((resolve, reject) => {
        // A thread answers what its job's kind says.
        const settle = resolve as (result: ResultOf<LayerJob>) => void;
        this.#queue.push({ id, job, options, urgency, resolve: settle, reject });
        this.#dispatch();
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      urgency.end();
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** The task ends when its thread has let go of everything. */
  #cancel(id: number): void {
    const waiting = this.#queue.findIndex((task) => task.id === id);
    if (waiting >= 0) this.#queue.splice(waiting, 1)[0]?.reject(closing());
    for (const thread of this.#threads)
      if (thread.tasks.has(id)) thread.worker.postMessage({ id, cancel: true } satisfies LayerJobMessage);
  }

  /**
   * What the first start of a thread has to compile, and to read of the program, stops the calling thread for
   * 6 to 10 ms, and for as long as the disk takes: better at a quiet time than in a pull. The thread ends
   * before it runs anything.
   */
  rehearse(): void {
    if (this.#closed || this.#isStarting || this.#threads.size > 0) return;
    try {
      const worker = this.#worker();
      worker.on('error', () => undefined);
      void worker.terminate();
    } catch {
      // A job for which none can be started says so.
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#queue.splice(0)) task.reject(closing());
    await Promise.all([...this.#threads].map((thread) => thread.worker.terminate()));
  }

  #dispatch(): void {
    for (let task = this.#next(); task !== undefined; task = this.#next()) {
      const limit = this.#limit();
      const idlestFirst = [...this.#threads].sort((a, b) => a.tasks.size - b.tasks.size);
      // Threads above the limit get nothing more.
      const [least] = idlestFirst.slice(Math.max(0, idlestFirst.length - limit));
      const isIdle = least !== undefined && least.tasks.size === 0;
      if (!isIdle && this.#threads.size < limit) return this.#startSoon();
      if (least === undefined || least.tasks.size >= JOBS_PER_THREAD) return;
      this.#queue.splice(this.#queue.indexOf(task), 1);
      this.#give(task, least);
    }
  }

  /** The first that may have a place. */
  #next(): Task | undefined {
    const running = [...this.#threads].flatMap(({ tasks }) => [...tasks.values()]);
    const sent = running.filter(({ options }) => options.isSent === true).length;
    // The limit that a large window may bring later: jobs that have begun cannot be moved.
    const places = Math.min(this.#options.threads, THREADS_BESIDE_LARGE) * JOBS_PER_THREAD;
    const isFull = sent >= places - 1;
    return this.#queue.find(({ options }) => !isFull || options.isSent !== true);
  }

  #limit(): number {
    const { threads } = this.#options;
    return this.#windows.isTight ? Math.min(threads, THREADS_BESIDE_LARGE) : threads;
  }

  #give(task: Task, thread: Thread): void {
    if (thread.idleTimer !== null) clearTimeout(thread.idleTimer);
    thread.idleTimer = null;
    thread.tasks.set(task.id, task);
    task.urgency.gotOn();
    thread.worker.ref();
    thread.worker.postMessage({ id: task.id, job: task.job } satisfies LayerJobMessage);
  }

  /** To start one takes milliseconds of this thread: it has a turn of its own, and so has the next. */
  #startSoon(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    setImmediate(() => {
      this.#isStarting = false;
      const next = this.#next();
      if (next !== undefined && this.#threads.size < this.#limit()) this.#startFor(next);
      this.#dispatch();
    });
  }

  #startFor(task: Task): void {
    try {
      this.#start();
    } catch (error) {
      const why = `a layer thread cannot be started: ${errorMessage(error)}`;
      this.#queue.splice(this.#queue.indexOf(task), 1);
      task.reject(new EngineError('internal', why, { cause: error }));
    }
  }

  #start(): void {
    const worker = this.#worker();
    const thread: Thread = { worker, tasks: new Map(), idleTimer: null };
    this.#threads.add(thread);
    worker.on('message', (reply: LayerJobReply) => this.#answered(thread, reply));
    worker.on('error', (error: Error) => this.#lost(thread, error));
    worker.on('exit', () => this.#lost(thread, null));
  }

  #worker(): Worker {
    return new Worker(this.#options.entry ?? new URL('./apply-worker.ts', import.meta.url), {
      resourceLimits: RESOURCE_LIMITS,
    });
  }

  #answered(thread: Thread, reply: LayerJobReply): void {
    const task = thread.tasks.get(reply.id);
    if (task === undefined) return;
    task.urgency.gotOn();
    if ('readBytes' in reply) {
      task.options.onRead?.(reply.readBytes);
      return;
    }
    if ('window' in reply) {
      this.#window(thread, task, reply.window);
      return;
    }
    thread.tasks.delete(reply.id);
    this.#windows.giveBack(task);
    if (thread.tasks.size === 0) this.#rest(thread);
    if ('result' in reply) task.resolve(reply.result);
    else task.reject(errorOf(reply.failure));
    this.#dispatch();
  }

  #window(thread: Thread, task: Task, bytes: number): void {
    if (bytes === 0) return this.#windows.giveBack(task);
    const onGiven = (): void => {
      task.urgency.gotOn();
      thread.worker.postMessage({ id: task.id, window: true } satisfies LayerJobMessage);
    };
    this.#windows.ask({ holder: task, bytes, onGiven });
    for (const other of this.#threads) if (this.#threads.size > this.#limit()) this.#retire(other);
  }

  /** An idle thread keeps no process alive, and ends after a while. */
  #rest(thread: Thread): void {
    thread.worker.unref();
    if (this.#threads.size > this.#limit()) return this.#retire(thread);
    const retire = (): void => this.#retire(thread);
    thread.idleTimer = setTimeout(retire, this.#options.idleMs ?? DEFAULT_IDLE_MS).unref();
  }

  #retire(thread: Thread): void {
    if (thread.tasks.size > 0) return;
    if (thread.idleTimer !== null) clearTimeout(thread.idleTimer);
    this.#threads.delete(thread);
    void thread.worker.terminate();
  }

  #lost(thread: Thread, cause: Error | null): void {
    if (!this.#threads.delete(thread)) return;
    if (thread.idleTimer !== null) clearTimeout(thread.idleTimer);
    for (const task of thread.tasks.values()) {
      this.#windows.giveBack(task);
      const error = new EngineError('internal', cause?.message ?? 'a layer thread ended', { cause });
      task.reject(Object.assign(error, { code: THREAD_LOST }));
    }
    thread.tasks.clear();
    if (!this.#closed) this.#dispatch();
  }
}
