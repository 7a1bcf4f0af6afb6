import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { damaged, LzmaDecoder } from './lzma-decoder.ts';
import { crc32, type XzCheck } from './xz-check.ts';
import { xzNumber } from './xz-number.ts';

const STREAM_HEADER_BYTES = 12;
const LZMA2 = 0x21;
const SMALLEST_DICTIONARY = 4096;

export interface BlockHeader {
  readonly bytes: number;
  readonly dictionaryBytes: number;
  /** What the header says of the data; null: nothing. */
  readonly packedBytes: number | null;
  readonly plainBytes: number | null;
}

function dictionaryOf(property: number | undefined): number {
  if (property === undefined || property > 39) throw damaged('xz dictionary size');
  return Math.max(SMALLEST_DICTIONARY, (2 | (property & 1)) * 2 ** ((property >> 1) + 11));
}

/** A whole header with its checksum. Errors: `invalidArgument`. */
export function parseBlockHeader(header: Buffer): BlockHeader {
  const fields = header.subarray(0, -4);
  if (crc32(fields) !== header.readUInt32LE(fields.length)) throw damaged('xz block header');
  const flags = fields.readUInt8(1);
  let at = 2;
  const number = (): number => {
    const found = xzNumber(fields, at);
    if (found === null) throw damaged('xz block header');
    at = found.end;
    return found.value;
  };
  const packedBytes = (flags & 0x40) === 0 ? null : number();
  const plainBytes = (flags & 0x80) === 0 ? null : number();
  if ((flags & 0x3f) !== 0 || number() !== LZMA2 || number() !== 1)
    throw new EngineError('invalidArgument', 'xz archives with filters other than LZMA2 are not supported');
  const dictionaryBytes = dictionaryOf(fields[at]);
  if (fields.subarray(at + 1).some((byte) => byte !== 0)) throw damaged('xz block header');
  if (dictionaryBytes > LIMITS.xzDictionaryBytes) {
    const text = `xz dictionary of ${dictionaryBytes} bytes is larger than ${LIMITS.xzDictionaryBytes}`;
    throw new EngineError('invalidArgument', text);
  }
  return { bytes: header.length, dictionaryBytes, packedBytes, plainBytes };
}

/** How far the first block of an archive looks back; null: its beginning does not tell. */
export function xzDictionaryBytes(head: Buffer): number | null {
  const size = head[STREAM_HEADER_BYTES] ?? 0;
  const header = head.subarray(STREAM_HEADER_BYTES, STREAM_HEADER_BYTES + (size + 1) * 4);
  if (size === 0 || header.length < (size + 1) * 4) return null;
  try {
    return parseBlockHeader(header).dictionaryBytes;
  } catch {
    return null;
  }
}

/** The data of a block: LZMA2 chunks, each with its dictionary's, its state's and its properties' reset. */
export class XzBlock {
  readonly header: BlockHeader;
  readonly check: XzCheck;
  packedBytes = 0;
  plainBytes = 0;
  #lzma: LzmaDecoder | null = null;
  #needsDictionary = true;
  #needsProperties = true;
  /** Of the chunk that is being read: plain bytes to come, and they themselves where they are not packed. */
  #left = 0;
  #raw: Buffer | null = null;

  constructor(header: BlockHeader, check: XzCheck) {
    this.header = header;
    this.check = check;
  }

  get isInChunk(): boolean {
    return this.#left > 0;
  }

  /**
   * Takes a chunk from the beginning of `held` and gives its length: 0 when it is not all there. The end of
   * all chunks is one byte long.
   */
  begin(held: Buffer): number {
    const control = held[0];
    if (control === undefined) return 0;
    if (control === 0) {
      this.packedBytes++;
      return 1;
    }
    const isPacked = control >= 0x80;
    if (!isPacked && control > 2) throw damaged('LZMA2 chunk');
    const headerBytes = isPacked ? (control >= 0xc0 ? 6 : 5) : 3;
    if (held.length < headerBytes) return 0;
    const plain = held.readUInt16BE(1) + (isPacked ? (control & 0x1f) << 16 : 0) + 1;
    const length = headerBytes + (isPacked ? held.readUInt16BE(3) + 1 : plain);
    if (held.length < length) return 0;
    this.#reset(control, held);
    const data = held.subarray(headerBytes, length);
    if (isPacked) this.#decoder().begin(data);
    this.#raw = isPacked ? null : data;
    this.#left = plain;
    this.packedBytes += length;
    return length;
  }

  #reset(control: number, held: Buffer): void {
    if (control === 1 || control >= 0xe0) {
      this.#decoder().resetDictionary();
      this.#needsDictionary = false;
    } else if (this.#needsDictionary) throw damaged('LZMA2 chunk');
    if (control < 0x80) return;
    if (control >= 0xc0) {
      this.#decoder().setProperties(held.readUInt8(5));
      this.#needsProperties = false;
    } else if (this.#needsProperties) throw damaged('LZMA2 chunk');
    if (control >= 0xa0) this.#decoder().resetState();
  }

  #decoder(): LzmaDecoder {
    return (this.#lzma ??= new LzmaDecoder(this.header.dictionaryBytes));
  }

  /** Plain bytes of the chunk, at most so many. */
  read(most: number): Buffer {
    const lzma = this.#decoder();
    const length = Math.min(this.#left, most, this.header.dictionaryBytes);
    if (this.#raw === null) lzma.decode(length);
    else {
      lzma.put(this.#raw.subarray(0, length));
      this.#raw = this.#raw.subarray(length);
    }
    this.#left -= length;
    this.plainBytes += length;
    if (this.#left === 0 && this.#raw === null) lzma.end();
    const plain = lzma.latest(length);
    this.check.update(plain);
    return plain;
  }

  /** `tail`: padding to four bytes, and the check value. */
  verify(tail: Buffer): void {
    const padding = tail.length - this.check.bytes;
    if (tail.subarray(0, padding).some((byte) => byte !== 0)) throw damaged('xz block padding');
    if (!tail.subarray(padding).equals(this.check.value())) throw damaged('xz block check');
    const { packedBytes, plainBytes } = this.header;
    const isSaid = (packedBytes ?? this.packedBytes) === this.packedBytes;
    if (!isSaid || (plainBytes ?? this.plainBytes) !== this.plainBytes) throw damaged('xz block size');
  }

  /** Nothing is read afterwards. Idempotent. */
  release(): void {
    this.#lzma?.release();
  }

  /** As the index counts it: without the padding. */
  get unpaddedBytes(): number {
    return this.header.bytes + this.packedBytes + this.check.bytes;
  }
}
