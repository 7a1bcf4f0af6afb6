import { EngineError } from '#base/errors.ts';
import { BitReader, LONGEST_CODE } from './bzip2-bits.ts';
import { Bzip2Block, MOST_CODES, MOST_SELECTORS } from './bzip2-block.ts';
import { damaged } from './lzma-decoder.ts';

/*
 * The format of .bz2 files: streams, each of a header, blocks, a checksum over theirs; everything in bits. It
 * is read as the program `bzip2` reads it, which is the only description there is.
 */

const MAGIC = Buffer.from('BZh');
const LEVEL_BYTES = 100_000;
/** In two halves of 24 bits: what a block begins with, and what stands behind the last one. */
const BLOCK_MAGIC = [0x314159, 0x265359] as const;
const END_MAGIC = [0x177245, 0x385090] as const;
/** Of the many selectors that a block may name. */
const SELECTORS_A_STEP = 1024;
const PIECE_BYTES = 16 * 1024;
/** A length is the one before, one more or one less, again and again: nobody needs more steps. */
const MOST_STEPS = LONGEST_CODE;

export function isBzip2(head: Uint8Array): boolean {
  const level = (head[3] ?? 0) - 0x30;
  return MAGIC.equals(head.subarray(0, MAGIC.length)) && level >= 1 && level <= 9;
}

/** `working`: others may have a turn before it goes on; `over`: what comes now is no part of the archive. */
export type Bzip2Step = Buffer | 'working' | 'hungry' | 'over';

/** Something that waits for more input where it stands, and gives what it has read. */
type Reading<T> = Generator<Buffer | 'working' | 'hungry', T>;

/**
 * Fed with pieces of any size; holds one block, 3.6 MB at most, and one piece of what it gives. Errors of
 * all: `invalidArgument`.
 */
export class Bzip2Decoder {
  readonly #bits = new BitReader();
  readonly #block = new Bzip2Block();
  /** A byte more than is ever given: who gives a whole buffer's memory back must not take this one's. */
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES + 1).subarray(0, PIECE_BYTES);
  readonly #reading: Reading<void>;
  /** Where the input may end. */
  #isBetweenStreams = false;

  constructor() {
    this.#reading = this.#streams();
  }

  /** To be called when `read` said that it is hungry. The bytes must stay as they are until it says so again. */
  push(bytes: Buffer): void {
    this.#bits.push(bytes);
  }

  /** The next plain bytes, valid until the next call. */
  read(): Bzip2Step {
    const step = this.#reading.next();
    return step.done === true ? 'over' : step.value;
  }

  /** The input has ended. */
  finish(): void {
    if (!this.#isBetweenStreams) throw new EngineError('invalidArgument', 'unexpected EOF');
  }

  /** It is over, wherever it is: the block's memory goes now, not when the collector finds it. */
  release(): void {
    this.#reading.return();
    this.#block.release();
  }

  *#take(bits: number): Reading<number> {
    while (!this.#bits.has(bits)) yield 'hungry';
    return this.#bits.take(bits);
  }

  *#takeCrc(): Reading<number> {
    const high = yield* this.#take(16);
    return ((high << 16) | (yield* this.#take(16))) >>> 0;
  }

  *#streams(): Reading<void> {
    for (let isFirst = true; ; isFirst = false) {
      const level = yield* this.#streamHeader();
      if (level === null) {
        if (isFirst) throw damaged('bzip2 stream header');
        return;
      }
      this.#block.resize(level * LEVEL_BYTES);
      yield* this.#stream();
      this.#bits.align();
      this.#isBetweenStreams = true;
      yield 'working';
    }
  }

  /** Null: it is something else, which may stand behind a stream. */
  *#streamHeader(): Reading<number | null> {
    for (const byte of MAGIC) {
      if ((yield* this.#take(8)) !== byte) return null;
      this.#isBetweenStreams = false;
    }
    const level = (yield* this.#take(8)) - 0x30;
    return level >= 1 && level <= 9 ? level : null;
  }

  *#stream(): Reading<void> {
    let crc = 0;
    for (;;) {
      const high = yield* this.#take(24);
      const low = yield* this.#take(24);
      if (high === END_MAGIC[0] && low === END_MAGIC[1]) break;
      if (high !== BLOCK_MAGIC[0] || low !== BLOCK_MAGIC[1]) throw damaged('bzip2 block header');
      const blockCrc = yield* this.#oneBlock();
      crc = (((crc << 1) | (crc >>> 31)) ^ blockCrc) >>> 0;
    }
    if ((yield* this.#takeCrc()) !== crc) throw damaged('bzip2 stream check');
  }

  /** Its checksum. */
  *#oneBlock(): Reading<number> {
    const block = this.#block;
    const crc = yield* this.#takeCrc();
    if ((yield* this.#take(1)) === 1)
      throw new EngineError('invalidArgument', 'bzip2 archives with randomised blocks are not supported');
    const origin = yield* this.#take(24);
    yield* this.#usedBytes();
    const codes = yield* this.#take(3);
    if (codes < 2 || codes > MOST_CODES) throw damaged('bzip2 code count');
    yield* this.#selectors(codes);
    for (const code of block.tables.codes.slice(0, codes)) {
      code.assign(yield* this.#codeLengths());
      yield 'working';
    }
    block.begin(origin);
    for (let step = block.decode(this.#bits); step !== 'whole'; step = block.decode(this.#bits)) yield step;
    do yield 'working';
    while (!block.sort());
    for (let size = block.write(this.#piece); size > 0; size = block.write(this.#piece))
      yield this.#piece.subarray(0, size);
    if (block.end() !== crc) throw damaged('bzip2 block check');
    return crc;
  }

  /** Two levels of bits: which sixteens have any, which ones of those. */
  *#usedBytes(): Reading<void> {
    const { tables } = this.#block;
    tables.usedCount = 0;
    const sixteens = yield* this.#take(16);
    for (let high = 0; high < 16; high++) {
      if ((sixteens & (0x8000 >> high)) === 0) continue;
      const ones = yield* this.#take(16);
      for (let low = 0; low < 16; low++)
        if ((ones & (0x8000 >> low)) !== 0) tables.used[tables.usedCount++] = high * 16 + low;
    }
    if (tables.usedCount === 0) throw damaged('bzip2 block without bytes');
  }

  /** Some programs write more than a block can need: the rest is passed over, as `bzip2` does. */
  *#selectors(codes: number): Reading<void> {
    const { tables } = this.#block;
    const count = yield* this.#take(15);
    if (count === 0) throw damaged('bzip2 selectors');
    tables.selectorCount = Math.min(count, MOST_SELECTORS);
    const recent = Array.from({ length: codes }, (_, code) => code);
    for (let index = 0; index < count; index++) {
      if (index % SELECTORS_A_STEP === 0) yield 'working';
      let place = 0;
      for (;;) {
        // Not by `#take`: a generator for each of so many bits takes a hundred times as long.
        while (!this.#bits.has(1)) yield 'hungry';
        if (this.#bits.take(1) === 0) break;
        if (++place === codes) throw damaged('bzip2 selectors');
      }
      const [code = 0] = recent.splice(place, 1);
      recent.unshift(code);
      if (index < MOST_SELECTORS) tables.selectors[index] = code;
    }
  }

  *#codeLengths(): Reading<Uint8Array> {
    const lengths = new Uint8Array(this.#block.tables.usedCount + 2);
    let length = yield* this.#take(5);
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      for (let steps = 0; ; steps++) {
        if (length < 1 || length > LONGEST_CODE || steps > MOST_STEPS) throw damaged('bzip2 code lengths');
        while (!this.#bits.has(1)) yield 'hungry';
        if (this.#bits.take(1) === 0) break;
        while (!this.#bits.has(1)) yield 'hungry';
        length += this.#bits.take(1) === 0 ? 1 : -1;
      }
      lengths[symbol] = length;
    }
    return lengths;
  }
}
