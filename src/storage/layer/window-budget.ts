import { LIMITS } from '#base/limits.ts';
import type { Budget } from './byte-source.ts';

/*
 * What decoders look back at is memory that an archive chooses: zstd's window, xz's dictionary. All jobs of a
 * pool share one budget for it. Small windows, as nearly every archive has them, are there for the asking;
 * while a large one is open or waited for they take turns, so that the two together have a bound.
 */

const { unpackWindowBytes: ALL, smallWindowBytes: SMALL, windowPatienceMs } = LIMITS;

export interface WindowRequest {
  /** Has one window at most: what it had goes back when it asks. */
  readonly holder: object;
  readonly bytes: number;
  /** May be called at once. */
  readonly onGiven: () => void;
}

export function isLargeWindow(bytes: number): boolean {
  return bytes > SMALL;
}

export interface WindowBudgetOptions {
  readonly patienceMs?: number;
}

/**
 * Large windows are given first come first served, and wait for small ones until those are few: not for ever,
 * because a small one is open for as long as its archive takes to arrive.
 */
export class WindowBudget {
  readonly #patienceMs: number;
  readonly #held = new Map<object, number>();
  #waiting: readonly WindowRequest[] = [];
  #patience: NodeJS.Timeout | null = null;

  constructor({ patienceMs = windowPatienceMs }: WindowBudgetOptions = {}) {
    this.#patienceMs = patienceMs;
  }

  /** A large window is open or waited for. */
  get isTight(): boolean {
    return this.#openBytes('large') > 0 || this.#firstLarge() !== undefined;
  }

  ask(request: WindowRequest): void {
    this.#remove(request.holder);
    this.#waiting = [...this.#waiting, request];
    this.#serve();
  }

  /** What it has, or waits for. */
  giveBack(holder: object): void {
    if (this.#remove(holder)) this.#serve();
  }

  #remove(holder: object): boolean {
    const waiting = this.#waiting.filter((request) => request.holder !== holder);
    const wasWaiting = waiting.length < this.#waiting.length;
    this.#waiting = waiting;
    return this.#held.delete(holder) || wasWaiting;
  }

  #openBytes(size: 'small' | 'large'): number {
    const isCounted = (bytes: number): boolean => isLargeWindow(bytes) === (size === 'large');
    return [...this.#held.values()].filter(isCounted).reduce((sum, bytes) => sum + bytes, 0);
  }

  #firstLarge(): WindowRequest | undefined {
    return this.#waiting.find(({ bytes }) => isLargeWindow(bytes));
  }

  #serve(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) this.#give(next);
    const large = this.#firstLarge();
    const isHeldUp = large !== undefined && this.#hasRoom(large);
    if (this.#patience !== null && !isHeldUp) clearTimeout(this.#patience);
    if (!isHeldUp) this.#patience = null;
    else this.#patience ??= setTimeout(() => this.#losePatience(), this.#patienceMs).unref();
  }

  #next(): WindowRequest | undefined {
    const large = this.#firstLarge();
    const smallBytes = this.#openBytes('small');
    if (large !== undefined && smallBytes <= SMALL && this.#hasRoom(large)) return large;
    return this.#waiting.find(
      ({ bytes }) => !isLargeWindow(bytes) && (!this.isTight || smallBytes + bytes <= SMALL),
    );
  }

  /** Beside other large ones, and what small ones may have. */
  #hasRoom({ bytes }: WindowRequest): boolean {
    return this.#openBytes('large') + bytes + SMALL <= ALL;
  }

  #give(request: WindowRequest): void {
    this.#waiting = this.#waiting.filter((other) => other !== request);
    this.#held.set(request.holder, request.bytes);
    request.onGiven();
  }

  /** Only small ones are in the way, and have been for long. */
  #losePatience(): void {
    this.#patience = null;
    const large = this.#firstLarge();
    if (large !== undefined) this.#give(large);
    this.#serve();
  }
}

/** For decoders outside of the pool: nothing is shared. */
export const UNSHARED_BUDGET: Budget = { take: (): Promise<() => void> => Promise.resolve(() => undefined) };
