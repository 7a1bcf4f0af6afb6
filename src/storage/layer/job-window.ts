import type { Memory } from '#host/memory.ts';
import type { Budget } from './byte-source.ts';
import { isLargeWindow } from './window-budget.ts';

/** How often memory is released while a large window is open: others that work beside it leave holes. */
const RELEASE_MS = 100;

export interface JobWindowOptions {
  /** Asks for a window of so many bytes; 0 gives it back. */
  readonly ask: (bytes: number) => void;
  readonly signal: AbortSignal;
  readonly memory: Memory;
}

/** A job's side of the budget for windows: the main thread has the other one. */
export class JobWindow implements Budget {
  readonly #options: JobWindowOptions;
  #onGiven: () => void = () => undefined;

  constructor(options: JobWindowOptions) {
    this.#options = options;
  }

  /** Waits for it. Errors: the signal's reason. */
  async take(bytes: number): Promise<() => void> {
    const { ask, signal, memory } = this.#options;
    signal.throwIfAborted();
    const given = Promise.withResolvers<void>();
    const abort = (): void => given.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#onGiven = given.resolve;
    try {
      ask(bytes);
      await given.promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    const stop = isLargeWindow(bytes) ? releasing(memory) : () => undefined;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      stop();
      ask(0);
    };
  }

  /** The answer to `ask`. */
  given(): void {
    this.#onGiven();
  }
}

function releasing(memory: Memory): () => void {
  memory.release();
  const timer = setInterval(() => memory.release(), RELEASE_MS);
  return () => clearInterval(timer);
}
