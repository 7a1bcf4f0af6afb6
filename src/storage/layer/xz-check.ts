import { createHash } from 'node:crypto';

/** Goes on from `before`. Its module is loaded when it is needed: it costs milliseconds of every start. */
export function crc32(bytes: Buffer, before = 0): number {
  return process.getBuiltinModule('node:zlib').crc32(bytes, before);
}

/** What stands behind the data of a block, computed from its plain bytes. */
export interface XzCheck {
  readonly bytes: number;
  update(plain: Buffer): void;
  value(): Buffer;
}

/** By the number in a stream's header; null for one that nobody writes. */
export function xzCheck(type: number): XzCheck | null {
  if (type === 0) return { bytes: 0, update: () => undefined, value: () => Buffer.alloc(0) };
  if (type === 1) return crc32Check();
  if (type === 4) return new Crc64Check();
  if (type !== 10) return null;
  const hash = createHash('sha256');
  return { bytes: 32, update: (plain) => void hash.update(plain), value: () => hash.digest() };
}

function crc32Check(): XzCheck {
  let crc = 0;
  return {
    bytes: 4,
    update: (plain) => void (crc = crc32(plain, crc)),
    value: () => {
      const value = Buffer.alloc(4);
      value.writeUInt32LE(crc);
      return value;
    },
  };
}

/** The reversed polynomial of ECMA-182, in two halves: numbers of JavaScript are too short for it. */
const POLYNOMIAL_HIGH = 0xc96c5795;
const POLYNOMIAL_LOW = 0xd7870f42;

function crc64Table(): { readonly high: Int32Array; readonly low: Int32Array } {
  const table = { high: new Int32Array(256), low: new Int32Array(256) };
  for (let byte = 0; byte < 256; byte++) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (isOdd) {
        low ^= POLYNOMIAL_LOW;
        high ^= POLYNOMIAL_HIGH;
      }
    }
    table.high[byte] = high;
    table.low[byte] = low;
  }
  return table;
}

const TABLE = crc64Table();

class Crc64Check implements XzCheck {
  readonly bytes = 8;
  #high = -1;
  #low = -1;

  update(plain: Buffer): void {
    const { high: highs, low: lows } = TABLE;
    let high = this.#high;
    let low = this.#low;
    for (const byte of plain) {
      const index = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (lows[index] as number);
      high = (high >>> 8) ^ (highs[index] as number);
    }
    this.#high = high;
    this.#low = low;
  }

  value(): Buffer {
    const value = Buffer.alloc(8);
    value.writeInt32LE(~this.#low, 0);
    value.writeInt32LE(~this.#high, 4);
    return value;
  }
}
