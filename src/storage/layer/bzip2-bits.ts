import { damaged } from './lzma-decoder.ts';

/** Codes are at most so long. */
export const LONGEST_CODE = 20;
/** Codes up to this length are found by one look. */
const QUICK_BITS = 10;
const QUICK_SHIFT = LONGEST_CODE - QUICK_BITS;
const MOST_SYMBOLS = 258;

/** A canonical prefix code: shorter codes come first, those of one length in the order of their symbols. */
export class PrefixCode {
  /** By the next ten bits: symbol and length in one number; 0 where the code is longer. */
  readonly quick = new Uint16Array(1 << QUICK_BITS);
  /** By length, of what 20 bits would be with zeros behind the code: the first one, and where they end. */
  readonly first = new Int32Array(LONGEST_CODE + 1);
  readonly limit = new Int32Array(LONGEST_CODE + 1);
  /** By length: where its symbols begin in `symbols`. */
  readonly base = new Int32Array(LONGEST_CODE + 1);
  readonly symbols = new Uint16Array(MOST_SYMBOLS);

  /** `lengths`: of each symbol, 1 to 20. Errors: `invalidArgument` when there are not so many codes. */
  assign(lengths: Uint8Array): void {
    this.quick.fill(0);
    let code = 0;
    let index = 0;
    for (let length = 1; length <= LONGEST_CODE; length++) {
      this.first[length] = code;
      this.base[length] = index;
      const step = 1 << (LONGEST_CODE - length);
      for (let symbol = 0; symbol < lengths.length; symbol++) {
        if (lengths[symbol] !== length) continue;
        this.symbols[index++] = symbol;
        if (length <= QUICK_BITS)
          this.quick.fill((symbol << 5) | length, code >> QUICK_SHIFT, (code + step) >> QUICK_SHIFT);
        code += step;
      }
      this.limit[length] = code;
      if (code > 1 << LONGEST_CODE) throw damaged('bzip2 code lengths');
    }
  }
}

/** Bits, the highest of each byte first. */
export class BitReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** The lowest `count` bits of `word` are the next ones; a signed number, which V8 has no box for. */
  #word = 0;
  #count = 0;

  /** To be called when `has` or `symbol` wanted more: everything that was here before is taken by then. */
  push(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#at = 0;
  }

  /** `bits`: at most 24. */
  has(bits: number): boolean {
    if (this.#count < bits) this.#fill();
    return this.#count >= bits;
  }

  /** What `has` said is there. */
  take(bits: number): number {
    this.#count -= bits;
    return (this.#word >>> this.#count) & ((1 << bits) - 1);
  }

  /** Passes over the rest of a byte. */
  align(): void {
    this.#count -= this.#count & 7;
  }

  #fill(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let word = this.#word;
    let count = this.#count;
    while (count <= 24 && at < bytes.length) {
      word = (word << 8) | (bytes[at++] as number);
      count += 8;
    }
    this.#at = at;
    this.#word = word;
    this.#count = count;
  }

  /** The next symbol; -1: it is not all there. Errors: `invalidArgument` for what no symbol has. */
  symbol(code: PrefixCode): number {
    if (this.#count < LONGEST_CODE) this.#fill();
    const spare = this.#count - LONGEST_CODE;
    const next = (spare >= 0 ? this.#word >>> spare : this.#word << -spare) & 0xfffff;
    const quick = code.quick[next >> QUICK_SHIFT] as number;
    if (quick === 0) return this.#long(code, next);
    const length = quick & 31;
    if (length > this.#count) return -1;
    this.#count -= length;
    return quick >> 5;
  }

  #long({ first, limit, base, symbols }: PrefixCode, next: number): number {
    for (let length = QUICK_BITS + 1; length <= LONGEST_CODE; length++) {
      if (next >= (limit[length] as number)) continue;
      if (length > this.#count) return -1;
      this.#count -= length;
      const index = (next - (first[length] as number)) >> (LONGEST_CODE - length);
      return symbols[(base[length] as number) + index] as number;
    }
    throw damaged('bzip2 code');
  }
}
