/** A job without news for so long waits for its source, or works on what cannot tell how far it is. */
const SILENCE_MS = 5000;

export interface UrgencyOptions {
  /** Has the main thread go before all others, until its answer is called. */
  readonly mainFirst: () => () => void;
  readonly silenceMs?: number;
}

/**
 * The main thread goes first while a job gets on, not for as long as there is one: a source may stall for
 * hours, and what goes first takes the processor from everybody on this machine.
 */
export class Urgency {
  readonly #options: UrgencyOptions;
  #calm: (() => void) | null = null;
  #silence: NodeJS.Timeout | null = null;

  constructor(options: UrgencyOptions) {
    this.#options = options;
  }

  /** There is news of the job. */
  gotOn(): void {
    const { mainFirst, silenceMs = SILENCE_MS } = this.#options;
    this.#calm ??= mainFirst();
    if (this.#silence === null) this.#silence = setTimeout(() => this.end(), silenceMs).unref();
    else this.#silence.refresh();
  }

  /** Idempotent. */
  end(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = null;
    this.#calm?.();
    this.#calm = null;
  }
}
