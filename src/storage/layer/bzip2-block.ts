import { giveBack } from '#base/give-back.ts';
import { type BitReader, PrefixCode } from './bzip2-bits.ts';
import { RecentBytes } from './bzip2-recent.ts';
import { damaged } from './lzma-decoder.ts';

export const MOST_CODES = 6;
/** 900,000 bytes in groups of 50 symbols, and two. */
export const MOST_SELECTORS = 18_002;
const GROUP_SYMBOLS = 50;
/** So much is done at a time: a millisecond or two of work. */
const STEP_SYMBOLS = 4000;
const STEP_SORTED = 16_384;
/** Two to the power of it is more than any block has. */
const LONGEST_RUN_DIGITS = 20;

/** MSB first, unlike zlib's. */
function crcTable(): Int32Array {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
    table[byte] = crc;
  }
  return table;
}

const CRC_TABLE = crcTable();

/** The tables that stand in front of a block. */
export class BlockTables {
  readonly codes: readonly PrefixCode[] = Array.from({ length: MOST_CODES }, () => new PrefixCode());
  readonly selectors = new Uint8Array(MOST_SELECTORS);
  selectorCount = 0;
  /** The bytes that the block has, which every decoding begins with in ascending order. */
  readonly used = new Uint8Array(256);
  usedCount = 0;
}

/**
 * One block after the other, in the same memory. First `decode` until it is whole, then `sort`, then `write`
 * its plain bytes. Errors of all: `invalidArgument`.
 */
export class Bzip2Block {
  readonly tables = new BlockTables();
  /** A byte each; above it, when they are sorted, where the byte after that one is. */
  #links = new Int32Array(0);
  #mostBytes = 0;
  #size = 0;
  readonly #counts = new Int32Array(256);
  #origin = 0;
  #crc = 0;
  // Of `decode`.
  readonly #recent = new RecentBytes();
  #groups = 0;
  #leftInGroup = 0;
  #code: PrefixCode | null = null;
  #run = 0;
  #runDigits = 0;
  // Of `sort`.
  #sorted = 0;
  // Of `write`.
  #link = 0;
  #left = 0;
  #last = -1;
  #same = 0;
  #repeats = 0;

  /** Of the blocks to come. Memory that is there already is taken again. */
  resize(mostBytes: number): void {
    if (this.#links.length < mostBytes) {
      this.release();
      this.#links = new Int32Array(mostBytes);
    }
    this.#mostBytes = mostBytes;
  }

  /** Nothing is decoded afterwards. Idempotent. */
  release(): void {
    giveBack(new Uint8Array(this.#links.buffer));
    this.#links = new Int32Array(0);
  }

  /** `tables` are those of this block. */
  begin(origin: number): void {
    this.#origin = origin;
    this.#size = 0;
    this.#counts.fill(0);
    this.#recent.begin(this.tables.used);
    this.#groups = 0;
    this.#leftInGroup = 0;
    this.#run = 0;
    this.#runDigits = 0;
    this.#sorted = 0;
  }

  /** Takes symbols until they end, or some thousand. */
  decode(bits: BitReader): 'whole' | 'working' | 'hungry' {
    const end = this.tables.usedCount + 1;
    for (let left = STEP_SYMBOLS; left > 0; left--) {
      if (this.#leftInGroup === 0) this.#nextGroup();
      const symbol = bits.symbol(this.#code as PrefixCode);
      if (symbol < 0) return 'hungry';
      this.#leftInGroup--;
      if (symbol <= 1) this.#addToRun(symbol);
      else {
        if (this.#run > 0) this.#endRun();
        if (symbol === end) {
          this.#endSymbols();
          return 'whole';
        }
        this.#put(symbol - 1);
      }
    }
    return 'working';
  }

  #nextGroup(): void {
    const { selectors, selectorCount, codes } = this.tables;
    if (this.#groups >= selectorCount) throw damaged('bzip2 selectors');
    this.#code = codes[selectors[this.#groups++] as number] as PrefixCode;
    this.#leftInGroup = GROUP_SYMBOLS;
  }

  /** A number whose digits are one and two, the lowest first. */
  #addToRun(digit: number): void {
    if (this.#runDigits > LONGEST_RUN_DIGITS) throw damaged('bzip2 run');
    this.#run += (digit + 1) << this.#runDigits++;
  }

  #endRun(): void {
    const byte = this.#recent.first();
    const end = this.#size + this.#run;
    if (end > this.#mostBytes) throw damaged('bzip2 run');
    this.#links.fill(byte, this.#size, end);
    this.#counts[byte] = (this.#counts[byte] as number) + this.#run;
    this.#size = end;
    this.#run = 0;
    this.#runDigits = 0;
  }

  /** A byte by its place among those that were used most recently. */
  #put(place: number): void {
    const byte = this.#recent.take(place);
    if (this.#size === this.#mostBytes) throw damaged('bzip2 block size');
    this.#links[this.#size++] = byte;
    this.#counts[byte] = (this.#counts[byte] as number) + 1;
  }

  #endSymbols(): void {
    if (this.#origin >= this.#size) throw damaged('bzip2 origin');
    const counts = this.#counts;
    let before = 0;
    for (let byte = 0; byte < 256; byte++) {
      const count = counts[byte] as number;
      counts[byte] = before;
      before += count;
    }
  }

  /** True when the bytes can be written. */
  sort(): boolean {
    const links = this.#links;
    const next = this.#counts;
    const end = Math.min(this.#sorted + STEP_SORTED, this.#size);
    for (let at = this.#sorted; at < end; at++) {
      const byte = (links[at] as number) & 0xff;
      const place = next[byte] as number;
      next[byte] = place + 1;
      links[place] = (links[place] as number) | (at << 8);
    }
    this.#sorted = end;
    if (end < this.#size) return false;
    this.#link = (links[this.#origin] as number) >>> 8;
    this.#left = this.#size;
    this.#last = -1;
    this.#same = 0;
    this.#repeats = 0;
    this.#crc = -1;
    return true;
  }

  /** Plain bytes, as many as there is room for; fewer, or none, at the end of the block. */
  write(target: Buffer): number {
    const links = this.#links;
    const length = target.length;
    let size = 0;
    let link = this.#link;
    let left = this.#left;
    let last = this.#last;
    let same = this.#same;
    let crc = this.#crc;
    for (;;) {
      for (; this.#repeats > 0 && size < length; this.#repeats--) {
        crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ last] as number);
        target[size++] = last;
      }
      if (size === length || left === 0) break;
      link = links[link] as number;
      const byte = link & 0xff;
      link >>>= 8;
      left--;
      if (same === 4) {
        // What stands behind four equal bytes is how often that byte comes again.
        this.#repeats = byte;
        same = 0;
        continue;
      }
      same = byte === last ? same + 1 : 1;
      last = byte;
      crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ byte] as number);
      target[size++] = byte;
    }
    this.#link = link;
    this.#left = left;
    this.#last = last;
    this.#same = same;
    this.#crc = crc;
    return size;
  }

  /** Of all that was written, as it stands in front of the block. */
  end(): number {
    if (this.#same === 4) throw damaged('bzip2 run');
    return ~this.#crc >>> 0;
  }
}
