import { damaged } from './lzma-decoder.ts';

const MOST_BYTES = 9;

export interface XzNumber {
  readonly value: number;
  /** Where the next field begins. */
  readonly end: number;
}

/** A number of variable length (1.2 of the format), seven bits per byte; null when its end is not there. */
export function xzNumber(bytes: Buffer, at: number): XzNumber | null {
  let value = 0;
  for (let i = 0; i < MOST_BYTES; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte >= 0x80) continue;
    if ((byte === 0 && i > 0) || !Number.isSafeInteger(value)) break;
    return { value, end: at + i + 1 };
  }
  throw damaged('xz number');
}
