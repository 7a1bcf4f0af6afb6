import { EngineError } from '#base/errors.ts';

/*
 * How far a growing file has come, in memory that its writer and its readers share. Its layout is told at
 * `GrowingFile`.
 */

const HAVE = 0;
const STATE = 2;
const GENERATION = 3;
const CHANGES = 4;
const PROGRESS_BYTES = 24;

const GROWING = 0;
const ENDED = 1;
const FAILED = 2;

/** The writer's side. */
export class ProgressWriter {
  readonly shared = new SharedArrayBuffer(PROGRESS_BYTES);
  readonly #words = new Int32Array(this.shared);
  readonly #have = new BigInt64Array(this.shared);

  grown(haveBytes: number): void {
    Atomics.store(this.#have, HAVE, BigInt(haveBytes));
    this.#changed();
  }

  /** To be told before a byte of the file changes. */
  restarted(): void {
    Atomics.add(this.#words, GENERATION, 1);
    Atomics.store(this.#have, HAVE, 0n);
    this.#changed();
  }

  /** The first of the two decides. */
  ended(how: 'whole' | 'failed'): void {
    Atomics.compareExchange(this.#words, STATE, GROWING, how === 'whole' ? ENDED : FAILED);
    this.#changed();
  }

  #changed(): void {
    Atomics.add(this.#words, CHANGES, 1);
    Atomics.notify(this.#words, CHANGES);
  }
}

/** The file's bytes begin anew: what was made of the earlier ones is void. */
export class RestartedError extends EngineError {
  readonly code = 'RESTARTED';

  constructor() {
    super('unavailable', 'the bytes begin anew');
  }
}

/** A reader's side, on any thread. */
export class ProgressReader {
  readonly #words: Int32Array;
  readonly #have: BigInt64Array;
  readonly #generation: number;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared);
    this.#have = new BigInt64Array(shared);
    this.#generation = Atomics.load(this.#words, GENERATION);
  }

  /**
   * How many bytes there are beyond `position`; waits for the first of them, 0 is the end. Errors:
   * `RestartedError`, `unavailable` when the writer gave up.
   */
  async beyond(position: number): Promise<number> {
    for (;;) {
      const seen = Atomics.load(this.#words, CHANGES);
      this.check();
      // The state first: whoever ends has told its last byte before.
      const state = Atomics.load(this.#words, STATE);
      const more = Number(Atomics.load(this.#have, HAVE)) - position;
      if (more > 0) return more;
      if (state === ENDED) return 0;
      if (state === FAILED) throw new EngineError('unavailable', 'unexpected EOF');
      const change = Atomics.waitAsync(this.#words, CHANGES, seen);
      if (change.async) await change.value;
    }
  }

  /** Waits until the writer is through. Errors: as those of `beyond`. */
  async end(): Promise<void> {
    await this.beyond(Infinity);
  }

  /** To be asked after a read: bytes that changed meanwhile are not used. Errors: `RestartedError`. */
  check(): void {
    if (Atomics.load(this.#words, GENERATION) !== this.#generation) throw new RestartedError();
  }
}
