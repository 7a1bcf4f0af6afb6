import { timingSafeEqual } from 'node:crypto';

/*
 * bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999), for checking only. The start
 * state of Blowfish is the fraction of pi in hexadecimal digits, and is computed instead of listed.
 */

const ROUNDS = 16;
const P_WORDS = ROUNDS + 2;
const S_WORDS = 4 * 256;
const SALT_BYTES = 16;
const KEY_BYTES_MAX = 72;
const HASH_BYTES = 23;
/** Key schedules between two turns of the event loop: about three milliseconds. */
const SCHEDULES_AT_ONCE = 32;
const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const HASH = /^\$2([aby])\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;
/** "OrpheanBeholderScryDoubt": what is encrypted. */
const PLAIN = [0x4f727068, 0x65616e42, 0x65686f6c, 0x64657253, 0x63727944, 0x6f756274] as const;

/** arctan(1/x) as a fixed-point number of `bits` bits, by its series. */
function arctanInverse(x: bigint, bits: bigint): bigint {
  let power = (1n << bits) / x;
  let sum = power;
  for (let n = 3n, sign = -1n; power > 0n; n += 2n, sign = -sign) {
    power /= x * x;
    sum += (sign * power) / n;
  }
  return sum;
}

/** The first words of pi's fraction, by Machin's formula. */
function piWords(count: number): Uint32Array {
  const guard = 64n;
  const bits = BigInt(count) * 32n;
  const pi = 4n * (4n * arctanInverse(5n, bits + guard) - arctanInverse(239n, bits + guard));
  const digits = (pi >> guard)
    .toString(16)
    .slice(1)
    .padStart(count * 8, '0');
  return Uint32Array.from({ length: count }, (_, i) => Number.parseInt(digits.slice(i * 8, i * 8 + 8), 16));
}

/** bcrypt's own base 64: another alphabet, no padding. */
function decode(text: string, length: number): Uint8Array {
  const bytes: number[] = [];
  let [bits, held] = [0, 0];
  for (const letter of text) {
    bits = ((bits << 6) | ALPHABET.indexOf(letter)) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push((bits >> held) & 0xff);
  }
  return Uint8Array.from(bytes.slice(0, length));
}

/** The bytes as 18 words, over and over from the beginning. */
function cycled(bytes: Uint8Array, words: number): Uint32Array {
  const out = new Uint32Array(words);
  for (let i = 0; i < words * 4; i++) {
    const word = out[i >> 2] ?? 0;
    out[i >> 2] = (word << 8) | (bytes[i % bytes.length] ?? 0);
  }
  return out;
}

class Blowfish {
  readonly #p: Uint32Array;
  readonly #s: Uint32Array;
  readonly #block = new Uint32Array(2);

  constructor(start: Uint32Array) {
    this.#p = start.slice(0, P_WORDS);
    this.#s = start.slice(P_WORDS, P_WORDS + S_WORDS);
  }

  encrypt(block: Uint32Array): void {
    const [p, s] = [this.#p, this.#s];
    let left = block[0] ?? 0;
    let right = block[1] ?? 0;
    for (let i = 0; i < ROUNDS; i += 2) {
      left ^= p[i] as number;
      right ^= this.#mix(s, left);
      right ^= p[i + 1] as number;
      left ^= this.#mix(s, right);
    }
    block[0] = right ^ (p[ROUNDS + 1] as number);
    block[1] = left ^ (p[ROUNDS] as number);
  }

  /** One key schedule; without a salt its words count as zero. */
  expand(key: Uint32Array, salt: Uint32Array | null): void {
    const [p, s, block] = [this.#p, this.#s, this.#block];
    for (let i = 0; i < P_WORDS; i++) p[i] = (p[i] as number) ^ (key[i] as number);
    block.fill(0);
    let at = 0;
    const fill = (words: Uint32Array): void => {
      for (let i = 0; i < words.length; i += 2) {
        if (salt !== null) {
          block[0] = (block[0] as number) ^ (salt[at] as number);
          block[1] = (block[1] as number) ^ (salt[at + 1] as number);
          at = (at + 2) % salt.length;
        }
        this.encrypt(block);
        words[i] = block[0] as number;
        words[i + 1] = block[1] as number;
      }
    };
    fill(p);
    fill(s);
  }

  #mix(s: Uint32Array, word: number): number {
    const a = s[word >>> 24] as number;
    const b = s[256 + ((word >>> 16) & 0xff)] as number;
    const c = s[512 + ((word >>> 8) & 0xff)] as number;
    const d = s[768 + (word & 0xff)] as number;
    return (((a + b) ^ c) + d) | 0;
  }
}

export interface BcryptHash {
  /** Rounds are two to this power. */
  readonly cost: number;
  readonly salt: Uint8Array;
  readonly digest: Uint8Array;
}

/** Null: not a bcrypt hash (`$2a$`, `$2b$`, `$2y$`). */
export function parseBcryptHash(text: string): BcryptHash | null {
  const match = HASH.exec(text);
  const cost = Number(match?.[2]);
  if (match === null || cost < 4 || cost > 31) return null;
  return { cost, salt: decode(match[3] ?? '', SALT_BYTES), digest: decode(match[4] ?? '', HASH_BYTES) };
}

/** Checks passwords; holds the start state. */
export class Bcrypt {
  readonly #start = piWords(P_WORDS + S_WORDS);

  /** Lets the event loop turn every few milliseconds. */
  async verify(password: string, hash: BcryptHash): Promise<boolean> {
    const bytes = Buffer.from(password, 'utf8').subarray(0, KEY_BYTES_MAX);
    const key = cycled(Buffer.concat([bytes, Buffer.alloc(1)]).subarray(0, KEY_BYTES_MAX), P_WORDS);
    const salt = cycled(hash.salt, SALT_BYTES / 4);
    const saltAsKey = cycled(hash.salt, P_WORDS);
    const cipher = new Blowfish(this.#start);
    cipher.expand(key, salt);
    for (let round = 0; round < 2 ** hash.cost; round++) {
      cipher.expand(key, null);
      cipher.expand(saltAsKey, null);
      if (round % SCHEDULES_AT_ONCE === SCHEDULES_AT_ONCE - 1)
        await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const out = Buffer.alloc(PLAIN.length * 4);
    for (let i = 0; i < PLAIN.length; i += 2) {
      const block = Uint32Array.of(PLAIN[i] as number, PLAIN[i + 1] as number);
      for (let n = 0; n < 64; n++) cipher.encrypt(block);
      out.writeUInt32BE(block[0] as number, i * 4);
      out.writeUInt32BE(block[1] as number, i * 4 + 4);
    }
    return timingSafeEqual(out.subarray(0, HASH_BYTES), hash.digest);
  }
}
