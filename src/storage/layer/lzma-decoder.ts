import { EngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';

/*
 * The data inside of .xz: LZMA, in chunks that are whole in memory (at most 64 KiB each). The numbers are
 * those of the format's description in the LZMA SDK (lzma-specification.txt).
 */

const STATES = 12;
const LITERAL_STATES = 7;
const POSITION_STATES = 16;
const LENGTH_STATES = 4;
const SLOTS = 64;
const FIRST_MODELLED_SLOT = 4;
const FIRST_DIRECT_SLOT = 14;
const SPECIAL_DISTANCES = 115;
const ALIGN_BITS = 4;
const LITERAL_CODER = 0x300;
const MOST_LITERAL_CODERS = 16;
const SHORTEST_MATCH = 2;

/** Probabilities of a length: choice, choice 2, then trees of 3, 3 and 8 bits. */
const LENGTH_LOW = 2;
const LENGTH_MID = LENGTH_LOW + POSITION_STATES * 8;
const LENGTH_HIGH = LENGTH_MID + POSITION_STATES * 8;
const LENGTH_SIZE = LENGTH_HIGH + 256;

const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES;
const IS_REP_0 = IS_REP + STATES;
const IS_REP_1 = IS_REP_0 + STATES;
const IS_REP_2 = IS_REP_1 + STATES;
const IS_REP_0_LONG = IS_REP_2 + STATES;
const SLOT = IS_REP_0_LONG + STATES * POSITION_STATES;
const SPECIAL = SLOT + LENGTH_STATES * SLOTS;
const ALIGN = SPECIAL + SPECIAL_DISTANCES;
const MATCH_LENGTH = ALIGN + (1 << ALIGN_BITS);
const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
const PROBABILITIES = LITERAL + LITERAL_CODER * MOST_LITERAL_CODERS;

const EVEN = 1024;
const TOP_BYTE = 0xff000000;
const RANGE_CODER_BYTES = 5;

export function damaged(what: string): EngineError {
  return new EngineError('invalidArgument', `damaged compressed archive: ${what}`);
}

/** Range and code are kept as signed numbers of 32 bits, which the JavaScript engine has no boxes for. */
export class LzmaDecoder {
  readonly #probabilities = new Uint16Array(PROBABILITIES);
  readonly #dictionary: Buffer;
  #position = 0;
  /** Bytes since the dictionary began; what of them is in it. */
  #total = 0;
  #filled = 0;
  #literalBits = 0;
  #literalMask = 0;
  #positionMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Of a match that is not copied whole yet. */
  #left = 0;
  #input: Buffer = Buffer.alloc(0);
  #at = 0;
  #range = 0;
  #code = 0;

  constructor(dictionaryBytes: number) {
    this.#dictionary = Buffer.alloc(dictionaryBytes);
  }

  /** Nothing is decoded afterwards. */
  release(): void {
    giveBack(this.#dictionary);
  }

  resetDictionary(): void {
    this.#position = 0;
    this.#total = 0;
    this.#filled = 0;
  }

  /** `properties`: literal context, literal position and position bits, in one byte. */
  setProperties(properties: number): void {
    const positionBits = Math.floor(properties / 45);
    const literalPositionBits = Math.floor(properties / 9) % 5;
    this.#literalBits = properties % 9;
    if (positionBits > 4 || this.#literalBits + literalPositionBits > 4) throw damaged('LZMA properties');
    this.#literalMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << positionBits) - 1;
  }

  resetState(): void {
    this.#probabilities.fill(EVEN);
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** A chunk's compressed bytes; its decoding follows. */
  begin(input: Buffer): void {
    if (input.length < RANGE_CODER_BYTES || input[0] !== 0) throw damaged('LZMA chunk');
    this.#input = input;
    this.#range = -1;
    this.#code = input.readInt32BE(1);
    this.#at = RANGE_CODER_BYTES;
    this.#left = 0;
  }

  /** The chunk's bytes must all be used by now. */
  end(): void {
    this.#normalize();
    if (this.#at !== this.#input.length || this.#code !== 0 || this.#left !== 0) throw damaged('LZMA chunk');
  }

  /** Bytes that stand uncompressed in the archive. */
  put(bytes: Buffer): void {
    for (const byte of bytes) this.#putByte(byte);
  }

  /** The last `length` bytes, a copy with memory of its own. No more than the dictionary holds. */
  latest(length: number): Buffer {
    // What comes from node's pool cannot be given back.
    const copy = Buffer.allocUnsafeSlow(length);
    const from = this.#position - length;
    if (from < 0) this.#dictionary.copy(copy, 0, this.#dictionary.length + from);
    this.#dictionary.copy(copy, Math.max(0, -from), Math.max(0, from), this.#position);
    return copy;
  }

  /** Decodes so many bytes more of the chunk. */
  decode(length: number): void {
    const end = this.#total + length;
    this.#copyMatch(end);
    while (this.#total < end) {
      const positionState = this.#total & this.#positionMask;
      if (this.#bit(IS_MATCH + (this.#state << 4) + positionState) === 0) {
        this.#literal();
        continue;
      }
      if (this.#bit(IS_REP + this.#state) === 0) this.#match(positionState);
      else this.#repeatedMatch(positionState);
      this.#copyMatch(end);
    }
  }

  #putByte(byte: number): void {
    const dictionary = this.#dictionary;
    dictionary[this.#position] = byte;
    if (++this.#position === dictionary.length) this.#position = 0;
    if (this.#filled < dictionary.length) this.#filled++;
    this.#total++;
  }

  /** Distance 0 is the byte before. */
  #byteAt(distance: number): number {
    const at = this.#position - distance - 1;
    return this.#dictionary[at < 0 ? at + this.#dictionary.length : at] as number;
  }

  #copyMatch(end: number): void {
    if (this.#left === 0) return;
    if (this.#rep0 < 0 || this.#rep0 >= this.#filled) throw damaged('LZMA distance');
    const dictionary = this.#dictionary;
    const size = dictionary.length;
    const length = Math.min(this.#left, end - this.#total);
    let to = this.#position;
    let from = to - this.#rep0 - 1;
    if (from < 0) from += size;
    // One by one: a match may overlap with itself.
    for (let i = 0; i < length; i++) {
      dictionary[to] = dictionary[from] as number;
      if (++to === size) to = 0;
      if (++from === size) from = 0;
    }
    this.#position = to;
    this.#total += length;
    this.#filled = Math.min(size, this.#filled + length);
    this.#left -= length;
  }

  #normalize(): void {
    if ((this.#range & TOP_BYTE) !== 0) return;
    if (this.#at >= this.#input.length) throw damaged('LZMA chunk');
    this.#range <<= 8;
    this.#code = (this.#code << 8) | (this.#input[this.#at++] as number);
  }

  #bit(index: number): 0 | 1 {
    this.#normalize();
    const probability = this.#probabilities[index] as number;
    const bound = Math.imul(this.#range >>> 11, probability);
    if (this.#code >>> 0 < bound >>> 0) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#range = (this.#range - bound) | 0;
    this.#code = (this.#code - bound) | 0;
    this.#probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  /** A symbol of `bits` bits, the highest first. */
  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  /** The same with the lowest bit first. */
  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /** Bits that are as likely 0 as 1. */
  #direct(value: number, bits: number): number {
    let result = value;
    for (let i = 0; i < bits; i++) {
      this.#normalize();
      this.#range >>>= 1;
      const isOne = this.#code >>> 0 >= this.#range;
      if (isOne) this.#code = (this.#code - this.#range) | 0;
      result = (result << 1) | (isOne ? 1 : 0);
    }
    return result;
  }

  #literal(): void {
    const before = this.#filled === 0 ? 0 : this.#byteAt(0);
    const low = before >> (8 - this.#literalBits);
    const high = (this.#total & this.#literalMask) << this.#literalBits;
    const base = LITERAL + LITERAL_CODER * (low + high);
    let symbol = 1;
    if (this.#state < LITERAL_STATES) {
      while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    } else symbol = this.#matchedLiteral(base);
    this.#putByte(symbol & 0xff);
    if (this.#state <= 3) this.#state = 0;
    else this.#state -= this.#state <= 9 ? 3 : 6;
  }

  /** After a match: the byte that would have continued it is probably not this one. */
  #matchedLiteral(base: number): number {
    if (this.#rep0 < 0 || this.#rep0 >= this.#filled) throw damaged('LZMA distance');
    let expected = this.#byteAt(this.#rep0) << 1;
    let offset = 0x100;
    let symbol = 1;
    while (symbol < 0x100) {
      const expectedBit = expected & offset;
      expected <<= 1;
      const bit = this.#bit(base + offset + expectedBit + symbol);
      symbol = (symbol << 1) | bit;
      offset &= bit === 1 ? expectedBit : ~expectedBit;
    }
    return symbol;
  }

  #match(positionState: number): void {
    this.#state = this.#state < LITERAL_STATES ? 7 : 10;
    this.#rep3 = this.#rep2;
    this.#rep2 = this.#rep1;
    this.#rep1 = this.#rep0;
    this.#left = this.#length(MATCH_LENGTH, positionState);
    const lengthState = Math.min(this.#left - SHORTEST_MATCH, LENGTH_STATES - 1);
    const slot = this.#tree(SLOT + lengthState * SLOTS, 6);
    if (slot < FIRST_MODELLED_SLOT) {
      this.#rep0 = slot;
      return;
    }
    const bits = (slot >> 1) - 1;
    const head = 2 | (slot & 1);
    if (slot < FIRST_DIRECT_SLOT) {
      const from = head << bits;
      this.#rep0 = from + this.#reverseTree(SPECIAL - 1 + from - slot, bits);
    } else {
      const from = this.#direct(head, bits - ALIGN_BITS) << ALIGN_BITS;
      this.#rep0 = from + this.#reverseTree(ALIGN, ALIGN_BITS);
    }
  }

  #repeatedMatch(positionState: number): void {
    const state = this.#state;
    const isLiteral = state < LITERAL_STATES;
    if (this.#bit(IS_REP_0 + state) === 0) {
      if (this.#bit(IS_REP_0_LONG + (state << 4) + positionState) === 0) {
        this.#state = isLiteral ? 9 : 11;
        this.#left = 1;
        return;
      }
    } else {
      let distance = this.#rep1;
      if (this.#bit(IS_REP_1 + state) === 1) {
        if (this.#bit(IS_REP_2 + state) === 0) distance = this.#rep2;
        else {
          distance = this.#rep3;
          this.#rep3 = this.#rep2;
        }
        this.#rep2 = this.#rep1;
      }
      this.#rep1 = this.#rep0;
      this.#rep0 = distance;
    }
    this.#state = isLiteral ? 8 : 11;
    this.#left = this.#length(REP_LENGTH, positionState);
  }

  #length(base: number, positionState: number): number {
    if (this.#bit(base) === 0)
      return SHORTEST_MATCH + this.#tree(base + LENGTH_LOW + (positionState << 3), 3);
    if (this.#bit(base + 1) === 0)
      return SHORTEST_MATCH + 8 + this.#tree(base + LENGTH_MID + (positionState << 3), 3);
    return SHORTEST_MATCH + 16 + this.#tree(base + LENGTH_HIGH, 8);
  }
}
