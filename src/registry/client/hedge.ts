import { RegistryError } from '../errors.ts';

/* Several places that may have the same thing: the first good answer wins. */

export interface Contest<E, T> {
  /** In the order of asking; the last one is the authority whose refusal counts. */
  readonly candidates: readonly E[];
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  /** Keeps what it opened until its signal ends it. */
  readonly attempt: (candidate: E, signal: AbortSignal) => Promise<T>;
  readonly isAuthority: (candidate: E) => boolean;
  /** It failed, or was silent for so long that another one was asked. */
  readonly onLaggard: (candidate: E) => void;
}

export interface Won<E, T> {
  readonly value: T;
  readonly by: E;
  /** Ends what the winner has open. */
  readonly end: AbortController;
}

/** The authority has said no: silent others are not waited for. */
function isFinal(error: unknown): boolean {
  return error instanceof RegistryError && error.status >= 400 && error.status < 500 && error.status !== 429;
}

class Race<E, T> {
  readonly #contest: Contest<E, T>;
  readonly #done = Promise.withResolvers<Won<E, T>>();
  readonly #running = new Map<E, AbortController>();
  #next = 0;
  #latest: E | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown = undefined;
  #isOver = false;

  constructor(contest: Contest<E, T>) {
    this.#contest = contest;
  }

  async run(): Promise<Won<E, T>> {
    const { signal } = this.#contest;
    signal.throwIfAborted();
    const leave = (): void => this.#fail(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    this.#start();
    try {
      return await this.#done.promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #start(): void {
    clearTimeout(this.#timer);
    const { candidates, silenceMs, onLaggard } = this.#contest;
    const candidate = candidates[this.#next];
    if (candidate === undefined) {
      if (this.#running.size === 0) this.#fail(this.#failure);
      return;
    }
    this.#next++;
    this.#latest = candidate;
    const control = new AbortController();
    this.#running.set(candidate, control);
    if (this.#next < candidates.length) {
      this.#timer = setTimeout(() => {
        onLaggard(candidate);
        this.#start();
      }, silenceMs);
    }
    this.#contest.attempt(candidate, control.signal).then(
      (value) => this.#win({ value, by: candidate, end: control }),
      (error: unknown) => this.#lost(candidate, error),
    );
  }

  #lost(candidate: E, error: unknown): void {
    if (this.#isOver) return;
    this.#running.delete(candidate);
    this.#contest.onLaggard(candidate);
    const isAuthority = this.#contest.isAuthority(candidate);
    if (isAuthority || this.#failure === undefined) this.#failure = error;
    if (isAuthority && isFinal(error)) this.#fail(error);
    // One that was asked later still has its time.
    else if (candidate === this.#latest || this.#running.size === 0) this.#start();
  }

  #win(won: Won<E, T>): void {
    if (this.#isOver) {
      won.end.abort();
      return;
    }
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const [candidate, control] of this.#running) if (candidate !== won.by) control.abort();
    this.#done.resolve(won);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const control of this.#running.values()) control.abort();
    this.#done.reject(error);
  }
}

/** Asks one after the other: the next when one fails, or has said nothing for `silenceMs`. */
export function firstGood<E, T>(contest: Contest<E, T>): Promise<Won<E, T>> {
  return new Race(contest).run();
}
