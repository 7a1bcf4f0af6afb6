import { setImmediate as nextTurn } from 'node:timers/promises';
import { EngineError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** So much is looked at in one turn of the event loop: a millisecond. */
const SLICE_BYTES = 256 * 1024;
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** So many escapes in strings cost what a value does. */
const ESCAPES_PER_VALUE = 16;

/** What a JSON text costs whoever parses it, without parsing; strings cost little but for their escapes. */
class Weight {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;
  #isInString = false;
  #escapes = 0;
  #values = 1;
  /** Where the last string begins and ends. */
  #begin = 0;
  #end = 0;
  readonly #keys = new Set<string>();
  deepest = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get values(): number {
    return this.#values + this.#escapes / ESCAPES_PER_VALUE;
  }

  /** Different ones, as they are written. */
  get keys(): number {
    return this.#keys.size;
  }

  /** False at the end. */
  look(): boolean {
    const bytes = this.#bytes;
    const end = Math.min(bytes.length, this.#at + SLICE_BYTES);
    for (; this.#at < end; this.#at++) {
      const byte = bytes[this.#at];
      if (byte === QUOTE) this.#quote();
      else if (this.#isInString) {
        if (byte === BACKSLASH) this.#escape();
      } else if (byte === COMMA) this.#values++;
      else if (byte === COLON) this.#keys.add(bytes.toString('latin1', this.#begin, this.#end));
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#open();
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) this.#depth--;
    }
    return this.#at < bytes.length;
  }

  #quote(): void {
    this.#isInString = !this.#isInString;
    if (this.#isInString) this.#begin = this.#at + 1;
    else this.#end = this.#at;
  }

  #escape(): void {
    this.#at++;
    this.#escapes++;
  }

  #open(): void {
    this.#values++;
    if (++this.#depth > this.deepest) this.deepest = this.#depth;
  }
}

/**
 * To be asked before a large document of somebody else's is parsed, which is done in one go: a megabyte of
 * keys takes a hundred milliseconds, one of text a single one. Others have their turn meanwhile. Errors:
 * `invalidArgument` for one that is too deep, `tooLarge` for one with more members and elements than `maxValues`,
 * or with too many different keys.
 */
export async function checkJsonWeight(
  bytes: Buffer,
  what: string,
  maxValues: number = LIMITS.documentValues,
): Promise<void> {
  if (bytes.length <= LIMITS.smallDocumentBytes) return;
  const weight = new Weight(bytes);
  for (let goesOn = true; goesOn; ) {
    await nextTurn();
    goesOn = weight.look();
    if (weight.deepest > LIMITS.jsonDepth)
      throw new EngineError('invalidArgument', `${what}: JSON nested deeper than ${LIMITS.jsonDepth} levels`);
    if (weight.values > maxValues)
      throw new EngineError('tooLarge', `${what}: JSON of more than ${maxValues} values`);
    if (weight.keys > LIMITS.documentKeys)
      throw new EngineError('tooLarge', `${what}: JSON of more than ${LIMITS.documentKeys} different keys`);
  }
}
