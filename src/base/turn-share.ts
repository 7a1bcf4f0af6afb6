import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * What may be taken from sockets in one turn of the event loop. Where bytes come faster than they are taken,
 * one turn would read megabytes from each connection, and everybody else would wait that long.
 */
export class TurnShare {
  readonly #bytes: number;
  #left: number;
  #renewal: Promise<void> | null = null;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#left = bytes;
  }

  /** After bytes were taken: waits for the next turn once this one has had its share. */
  async taken(bytes: number): Promise<void> {
    this.#left -= bytes;
    if (this.#left > 0) return;
    this.#renewal ??= nextTurn().then(() => {
      this.#left = this.#bytes;
      this.#renewal = null;
    });
    await this.#renewal;
  }

  /** The same bytes, as fast as their reader wants them and no faster than this allows. */
  async *slowed<T extends Uint8Array>(source: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const piece of source) {
      const { length } = piece;
      // Whoever takes it may give its memory back.
      yield piece;
      await this.taken(length);
    }
  }
}
