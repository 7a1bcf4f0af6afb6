/** ctrl-p, ctrl-q. */
const DEFAULT_KEYS = Uint8Array.of(16, 17);

function parseKey(text: string): number | null {
  if (text.length === 1) return text.charCodeAt(0) < 128 ? text.charCodeAt(0) : null;
  const match = /^ctrl-([a-z@[\\\]^_])$/i.exec(text);
  if (match === null) return null;
  const key = (match[1] ?? '').toLowerCase();
  return key.charCodeAt(0) & 0x1f;
}

/** `ctrl-p,ctrl-q` as bytes; null when malformed, the default when empty. */
export function parseDetachKeys(text: string): Uint8Array | null {
  if (text === '') return DEFAULT_KEYS;
  const keys = text.split(',').map(parseKey);
  return keys.every((key) => key !== null) ? Uint8Array.from(keys) : null;
}

/** Finds the detach sequence in what a client types; a part that turns out to be none is passed on. */
export class DetachDetector {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What goes to the process, and whether the client has left with these bytes. */
  feed(input: Uint8Array): { readonly data: Uint8Array; readonly detached: boolean } {
    const output: number[] = [];
    for (const byte of input) {
      if (byte !== this.#keys[this.#matched] && this.#matched > 0) {
        output.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) output.push(byte);
      else if (++this.#matched === this.#keys.length) {
        this.#matched = 0;
        return { data: Uint8Array.from(output), detached: true };
      }
    }
    return { data: Uint8Array.from(output), detached: false };
  }
}
