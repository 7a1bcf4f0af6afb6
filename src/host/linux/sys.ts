import { LIMITS } from '#base/limits.ts';
import type { Argument, Native, NativeCall } from './native.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { type SyscallName, syscallNumbers } from './syscall-numbers.ts';

export type Call = readonly [name: SyscallName, ...args: Argument[]];

/**
 * A piece of work written once and run both ways: it yields batches of system calls and gets their results
 * (-errno for errors). `now` makes the calls at once, `later` each batch on a thread.
 */
export type Operation<T> = Generator<readonly Call[], T, readonly number[]>;

export interface SysLimits {
  /** Threads at once for `later`; further work waits its turn. */
  readonly threads: number;
  /**
   * One batch may take that long; then ETIMEDOUT, and the thread is left to itself but counts until it
   * returns.
   */
  readonly deadlineMs: number;
}

const DEFAULTS: SysLimits = { threads: LIMITS.slowCallThreads, deadlineMs: LIMITS.slowCallDeadlineMs };

/** Their result is a file descriptor. */
const OPENS: ReadonlySet<SyscallName> = new Set([
  'fsmount',
  'fsopen',
  'open_tree',
  'openat',
  'openat2',
  'pidfd_open',
  'socket',
]);

/** The system call layer under everything in this room. */
export class Sys {
  readonly native: Native;
  readonly #numbers: Readonly<Record<SyscallName, number>>;
  readonly #limits: SysLimits;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(native: Native, limits: SysLimits = DEFAULTS) {
    const numbers = syscallNumbers(process.arch);
    if (numbers === undefined) throw new Error(`no system call table for ${process.arch}`);
    this.native = native;
    this.#numbers = numbers;
    this.#limits = limits;
  }

  /** The bare result, errors as -errno. */
  raw(name: SyscallName, ...args: Argument[]): number {
    return this.native.syscall(this.#numbers[name], ...args);
  }

  /** Throws errors; `path` is for the message. */
  call(path: string | undefined, ...call: Call): number {
    return check(this.raw(...call), call[0], path);
  }

  /** On a thread, and not counted: for calls that wait for an event on purpose. */
  async wait(...call: Call): Promise<number> {
    const [result] = await this.native.syscallsAsync([this.#encode(call)]);
    return result ?? 0;
  }

  now<T>(operation: Operation<T>): T {
    let step = operation.next();
    while (step.done !== true) {
      step = operation.next(step.value.map((call) => this.raw(...call)));
    }
    return step.value;
  }

  async later<T>(operation: Operation<T>, deadlineMs: number = this.#limits.deadlineMs): Promise<T> {
    let step = operation.next();
    while (step.done !== true) {
      const results = await this.#onThread(step.value, deadlineMs).catch((error: unknown) => ({ error }));
      step = 'error' in results ? operation.throw(results.error) : operation.next(results);
    }
    return step.value;
  }

  #encode(call: Call): NativeCall {
    const [name, ...args] = call;
    return [this.#numbers[name], ...args];
  }

  async #onThread(calls: readonly Call[], deadlineMs: number): Promise<number[]> {
    await this.#takeTurn();
    const work = this.native
      .syscallsAsync(calls.map((call) => this.#encode(call)))
      .finally(() => this.#endTurn());
    if (!Number.isFinite(deadlineMs)) return work;
    try {
      return await withDeadline(work, deadlineMs, calls[0]?.[0] ?? 'read');
    } catch (error) {
      void work.then((results) => this.#closeLate(calls, results)).catch(() => undefined);
      throw error;
    }
  }

  /** What was opened after its deadline belongs to nobody. A close may hang like the opening did. */
  async #closeLate(calls: readonly Call[], results: readonly number[]): Promise<void> {
    for (const [index, fd] of results.entries()) {
      const call = calls[index];
      if (fd >= 0 && call !== undefined && OPENS.has(call[0])) await this.wait('close', fd);
    }
  }

  async #takeTurn(): Promise<void> {
    if (this.#busy < this.#limits.threads) {
      this.#busy += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #endTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy -= 1;
    else next();
  }
}

async function withDeadline<T>(work: Promise<T>, deadlineMs: number, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(kernelError(errnoNumber('ETIMEDOUT'), name)), deadlineMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The result when it is none of -errno, else throws. */
export function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw kernelError(-result, syscall, path);
  return result;
}

/** One call inside an operation, errors thrown. */
export function* one(path: string | undefined, ...call: Call): Operation<number> {
  return check(yield* bare(...call), call[0], path);
}

/** One call inside an operation, its result as it is. */
export function* bare(...call: Call): Operation<number> {
  const [result] = yield [call];
  return result ?? 0;
}
