import { EngineError } from '#base/errors.ts';

/** What an archive entry is; `x` types of PAX and GNU never leave the parser. */
export type TarType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/**
 * One entry. Paths are byte strings: one character per byte (`latin1`), because names in archives need not
 * be UTF-8 and path arithmetic needs ASCII only.
 */
export interface TarEntry {
  readonly type: TarType;
  readonly path: string;
  readonly linkPath: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Buffer> | null;
}

export const BLOCK = 512;

/** The texts are those that clients of the reference know. */
export function invalidHeader(): EngineError {
  return new EngineError('invalidArgument', 'archive/tar: invalid tar header');
}

export function unexpectedEof(): EngineError {
  return new EngineError('invalidArgument', 'unexpected EOF');
}

/** What stands in the 512 bytes, before PAX and GNU records are applied. */
export interface RawHeader {
  readonly typeFlag: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

export function isZeroBlock(block: Buffer): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

function text(block: Buffer, start: number, length: number): string {
  let end = start;
  const limit = start + length;
  while (end < limit && block[end] !== 0) end++;
  return block.toString('latin1', start, end);
}

/** Octal digits, or GNU's base-256 with the top bit set. */
function numeric(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) {
    const negative = (first & 0x40) !== 0;
    let value = BigInt(negative ? first | ~0x7f : first & 0x7f);
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[start + i] ?? 0);
    const result = Number(negative ? BigInt.asIntN(length * 8, value) : value);
    if (!Number.isSafeInteger(result)) throw invalidHeader();
    return result;
  }
  let value = 0;
  let seen = false;
  for (let i = start; i < start + length; i++) {
    const c = block[i] ?? 0;
    if (c >= 0x30 && c <= 0x37) {
      value = value * 8 + (c - 0x30);
      seen = true;
    } else if (c === 0 || c === 0x20) {
      if (seen) break;
    } else throw invalidHeader();
  }
  return value;
}

function checksumMatches(block: Buffer): boolean {
  // The field itself counts as spaces. Some old writers took bytes for signed.
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = block[i] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let i = 148; i < 156; i++) {
    const byte = block[i] ?? 0;
    unsigned -= byte;
    high -= byte >> 7;
  }
  const stored = numeric(block, 148, 8);
  return stored === unsigned || stored === unsigned - 256 * high;
}

/** Errors: `invalidArgument`. */
export function parseRawHeader(block: Buffer): RawHeader {
  if (!checksumMatches(block)) throw invalidHeader();
  const magic = block.toString('latin1', 257, 265);
  const ustar = magic === 'ustar\x0000';
  const gnu = magic === 'ustar  \0';
  let name = text(block, 0, 100);
  if (ustar) {
    const prefix = text(block, 345, 155);
    if (prefix !== '') name = `${prefix}/${name}`;
  }
  const flag = block[156] ?? 0;
  return {
    typeFlag: flag === 0 ? '0' : String.fromCharCode(flag),
    name,
    linkName: text(block, 157, 100),
    mode: numeric(block, 100, 8),
    uid: numeric(block, 108, 8),
    gid: numeric(block, 116, 8),
    size: numeric(block, 124, 12),
    mtime: numeric(block, 136, 12),
    major: ustar || gnu ? numeric(block, 329, 8) : 0,
    minor: ustar || gnu ? numeric(block, 337, 8) : 0,
  };
}
