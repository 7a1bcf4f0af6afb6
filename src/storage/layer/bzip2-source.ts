import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ByteSource, PlainSource } from './byte-source.ts';
import { Bzip2Decoder } from './bzip2-decoder.ts';

/**
 * Our own decoder works where it is called; others have their turns while it makes a block ready. Its memory
 * is less than a small window, of which there is enough for anybody.
 */
export class Bzip2Source implements PlainSource {
  readonly isStored = false;
  readonly #source: ByteSource;
  readonly #decoder = new Bzip2Decoder();

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async next(): Promise<Buffer | null> {
    for (;;) {
      const step = this.#decoder.read();
      if (typeof step !== 'string') return step;
      if (step === 'over') return null;
      if (step === 'working') {
        await nextTurn();
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

  stop(): Promise<void> {
    this.#decoder.release();
    return Promise.resolve();
  }
}
