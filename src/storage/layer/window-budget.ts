import { LIMITS } from '#base/limits.ts';
import type { Budget } from './byte-source.ts';

/*
 * What decoders look back at is memory that an archive chooses: zstd's window, xz's dictionary. All threads
 * share one budget for it; a single decoder may take more than the budget while it is the only one.
 *
 * Shared memory: Int32[0] KiB in use by all · Int32[1 + n] of them by thread n, so that those of a thread
 * that was lost can be given back.
 */

const BUDGET_KIB = LIMITS.unpackWindowBytes / 1024;

export function sharedBudget(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer((1 + threads) * Int32Array.BYTES_PER_ELEMENT);
}

/** A thread's share of the budget. */
export class WindowBudget implements Budget {
  readonly #inUse: Int32Array;
  readonly #mine: number;
  readonly #budgetKib: number;

  constructor(shared: SharedArrayBuffer, thread: number, budgetKib = BUDGET_KIB) {
    this.#inUse = new Int32Array(shared);
    this.#mine = 1 + thread;
    this.#budgetKib = budgetKib;
  }

  /** Waits until so much is free, or nobody else has any. Gives the function that returns it, once. */
  async take(bytes: number): Promise<() => void> {
    const kib = Math.ceil(bytes / 1024);
    for (;;) {
      const used = Atomics.load(this.#inUse, 0);
      if (used !== 0 && used + kib > this.#budgetKib) {
        const change = Atomics.waitAsync(this.#inUse, 0, used);
        if (change.async) await change.value;
      } else if (Atomics.compareExchange(this.#inUse, 0, used, used + kib) === used) break;
    }
    Atomics.add(this.#inUse, this.#mine, kib);
    let isTaken = true;
    return () => {
      if (isTaken) this.#giveBack(kib);
      isTaken = false;
    };
  }

  /** The thread is gone, and with it all that it had. */
  giveBackAll(): void {
    this.#giveBack(Atomics.load(this.#inUse, this.#mine));
  }

  #giveBack(kib: number): void {
    Atomics.sub(this.#inUse, this.#mine, kib);
    Atomics.sub(this.#inUse, 0, kib);
    Atomics.notify(this.#inUse, 0);
  }
}

/** For decoders outside of the pool: nothing is shared. */
export const UNSHARED_BUDGET: Budget = { take: (): Promise<() => void> => Promise.resolve(() => undefined) };
