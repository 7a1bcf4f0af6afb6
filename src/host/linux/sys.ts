import { LIMITS } from '#base/limits.ts';
import type { Argument, Native, NativeCall, ResultOf } from './native.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { type SyscallName, syscallNumbers } from './syscall-numbers.ts';

/** A system call whose arguments are all known. */
export type PlainCall = readonly [name: SyscallName, ...args: Argument[]];

/** One of a batch: an argument `[i]` is what the batch's call i gave. */
export type Call =
  | readonly [name: SyscallName, ...args: (Argument | ResultOf)[]]
  /** Writes 32 bits into a buffer that a later call takes. */
  | readonly [name: 'store', buffer: Buffer, offset: number, value: number | ResultOf]
  | readonly [name: 'copy', buffer: Buffer, offset: number, from: Buffer, fromOffset: number]
  /** Writes where a buffer lies into another one; only on a thread. */
  | readonly [name: 'point', buffer: Buffer, offset: number, to: Buffer]
  /** From here on the first failure, or a write that was cut short, skips all but `close` (ECANCELED). */
  | readonly [name: 'chain'];

/** What the addon calls them: `enum` in syscall.c. */
const PSEUDO_CALLS = { store: -100_001, copy: -100_002, chain: -100_003, point: -100_004 } as const;

function isPseudo(name: Call[0]): name is keyof typeof PSEUDO_CALLS {
  return Object.hasOwn(PSEUDO_CALLS, name);
}

function isResult(argument: Argument | ResultOf): argument is ResultOf {
  return Array.isArray(argument);
}

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
const OPENS: ReadonlySet<string> = new Set([
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
  /**
   * True while the main thread is in another network namespace: a thread that is made then is born there, and
   * must not stay for others.
   */
  isAway = false;

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
  call(path: string | undefined, ...call: PlainCall): number {
    return check(this.raw(...call), call[0], path);
  }

  /** On a thread, and not counted: for calls that wait for an event on purpose. */
  async wait(...call: PlainCall): Promise<number> {
    const [result] = await this.native.syscallsAsync([this.#encode(call)], this.isAway);
    return result ?? 0;
  }

  now<T>(operation: Operation<T>): T {
    let step = operation.next();
    while (step.done !== true) {
      step = operation.next(this.#batchNow(step.value));
    }
    return step.value;
  }

  /** As `run_batch` in syscall.c does it. */
  #batchNow(calls: readonly Call[]): number[] {
    const [only] = calls;
    if (calls.length === 1 && only !== undefined) return [this.#oneNow(only, [])];
    const canceled = -errnoNumber('ECANCELED');
    const results: number[] = [];
    let chained = false;
    let failed = false;
    for (const call of calls) {
      const wanted = call.slice(1).filter((one) => Array.isArray(one)) as unknown as ResultOf[];
      const lost = wanted.some(([index]) => (results[index] ?? canceled) < 0);
      if (lost || (failed && call[0] !== 'close')) {
        results.push(canceled);
        continue;
      }
      chained ||= call[0] === 'chain';
      const result = this.#oneNow(call, results);
      results.push(result);
      const isShort = call[0] === 'write' && result !== call[3];
      failed ||= chained && (result < 0 || isShort);
    }
    return results;
  }

  #oneNow(call: Call, results: readonly number[]): number {
    const plain = <T extends Argument>(argument: T | ResultOf): T | number =>
      isResult(argument) ? (results[argument[0]] ?? 0) : argument;
    if (call[0] === 'chain') return 0;
    if (call[0] === 'point') throw new TypeError('point: on a thread only');
    if (call[0] === 'store') {
      call[1].writeInt32LE(plain(call[3]), call[2]);
      return 0;
    }
    if (call[0] === 'copy') {
      call[3].copy(call[1], call[2], call[4], call[4] + 4);
      return 0;
    }
    const [name, ...args] = call;
    return this.raw(name, ...args.map(plain));
  }

  /** `first`: calls before each batch that change its thread, which then does nothing else. */
  async later<T>(
    operation: Operation<T>,
    deadlineMs: number = this.#limits.deadlineMs,
    first: readonly Call[] = [],
  ): Promise<T> {
    let step = operation.next();
    while (step.done !== true) {
      const results = await this.#onThread(step.value, deadlineMs, first).catch((error: unknown) => ({
        error,
      }));
      step = 'error' in results ? operation.throw(results.error) : operation.next(results);
    }
    return step.value;
  }

  #encode(call: Call): NativeCall {
    const [name, ...args] = call;
    return [isPseudo(name) ? PSEUDO_CALLS[name] : this.#numbers[name], ...args];
  }

  /** One batch on a thread that ends afterwards: for calls that change the thread itself. */
  async onOwnThread(calls: readonly Call[]): Promise<readonly number[]> {
    return await this.native.syscallsAsync(
      calls.map((call) => this.#encode(call)),
      true,
    );
  }

  async #onThread(calls: readonly Call[], deadlineMs: number, first: readonly Call[]): Promise<number[]> {
    await this.#takeTurn();
    const work = this.native
      .syscallsAsync(
        [...first, ...movedBy(first.length, calls)].map((call) => this.#encode(call)),
        first.length > 0 || this.isAway,
      )
      .then((results) => results.slice(first.length))
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

/** What the calls say of each other's results, when others come before them. */
function movedBy(count: number, calls: readonly Call[]): readonly Call[] {
  if (count === 0) return calls;
  const moved = calls.map((call) =>
    call.map((argument: unknown) => {
      const index: unknown = Array.isArray(argument) ? argument[0] : undefined;
      return typeof index === 'number' ? [index + count] : argument;
    }),
  );
  return moved as unknown as readonly Call[];
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
export function* one(path: string | undefined, ...call: PlainCall): Operation<number> {
  return check(yield* bare(...call), call[0], path);
}

/** One call inside an operation, its result as it is. */
export function* bare(...call: PlainCall): Operation<number> {
  const [result] = yield [call];
  return result ?? 0;
}
