const LIST = 16;
const LISTS = 16;
const ROOM = 4096;

/**
 * Bytes, the most recently used one first, in sixteen lists of sixteen: the one that comes to the front moves
 * its own list's bytes, and one of each list before. Lists go down in their room until it ends.
 */
export class RecentBytes {
  readonly #bytes = new Uint8Array(ROOM);
  readonly #begins = new Int32Array(LISTS);

  /** `bytes`: all 256 places, in order. */
  begin(bytes: Uint8Array): void {
    this.#bytes.set(bytes, ROOM - LIST * LISTS);
    for (let list = 0; list < LISTS; list++) this.#begins[list] = ROOM - LIST * (LISTS - list);
  }

  first(): number {
    return this.#bytes[this.#begins[0] as number] as number;
  }

  /** The byte at a place, which is the first one from then on. */
  take(place: number): number {
    const bytes = this.#bytes;
    const begins = this.#begins;
    let list = place >> 4;
    const begin = begins[list] as number;
    let at = begin + (place & 15);
    const byte = bytes[at] as number;
    for (; at > begin; at--) bytes[at] = bytes[at - 1] as number;
    if (list === 0) {
      bytes[begin] = byte;
      return byte;
    }
    begins[list] = begin + 1;
    for (; list > 0; list--) {
      const first = (begins[list] as number) - 1;
      begins[list] = first;
      bytes[first] = bytes[(begins[list - 1] as number) + LIST - 1] as number;
    }
    const first = (begins[0] as number) - 1;
    begins[0] = first;
    bytes[first] = byte;
    if (first === 0) this.#moveUp();
    return byte;
  }

  #moveUp(): void {
    const all = new Uint8Array(LIST * LISTS);
    for (let list = 0; list < LISTS; list++) {
      const begin = this.#begins[list] as number;
      all.set(this.#bytes.subarray(begin, begin + LIST), list * LIST);
    }
    this.begin(all);
  }
}
