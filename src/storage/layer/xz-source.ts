import type { Budget, ByteSource, PlainSource } from './byte-source.ts';
import { XzDecoder } from './xz-decoder.ts';

/** Our own decoder works where it is called. */
export class XzSource implements PlainSource {
  readonly isStored = false;
  readonly #source: ByteSource;
  readonly #budget: Budget;
  readonly #decoder = new XzDecoder();
  #release: () => void = () => undefined;
  #reserved = 0;

  constructor(source: ByteSource, budget: Budget) {
    this.#source = source;
    this.#budget = budget;
  }

  async next(): Promise<Buffer | null> {
    for (;;) {
      const piece = this.#decoder.read();
      if (piece !== null) return piece;
      const wanted = this.#decoder.dictionaryBytes;
      if (wanted > this.#reserved) {
        await this.#reserve(wanted);
        continue;
      }
      const more = await this.#source.next();
      if (more === null) {
        this.#decoder.finish();
        return null;
      }
      this.#decoder.push(more);
    }
  }

  async #reserve(bytes: number): Promise<void> {
    this.#release();
    this.#release = await this.#budget.take(bytes);
    this.#reserved = bytes;
    this.#decoder.allow(bytes);
  }

  stop(): Promise<void> {
    this.#decoder.release();
    this.#release();
    return Promise.resolve();
  }
}
