import { createHash } from 'node:crypto';
import { EngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';
import { damaged } from './lzma-decoder.ts';
import { parseBlockHeader, XzBlock } from './xz-block.ts';
import { crc32, xzCheck } from './xz-check.ts';
import { xzNumber } from './xz-number.ts';

/*
 * The container of .xz files (tukaani.org/xz/xz-file-format.txt): streams, each of a header, blocks, an index
 * of them, a footer.
 */

const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = Buffer.from('YZ');
const HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
/** So much comes with one `read`: less than a millisecond of work, also of what is hardest to decode. */
const STEP_BYTES = 16 * 1024;

export function isXz(head: Uint8Array): boolean {
  return head.length >= MAGIC.length && MAGIC.equals(head.subarray(0, MAGIC.length));
}

/** Sizes of blocks, in order: those of the real ones and those that the index tells must be the same. */
class BlockSizes {
  readonly #hash = createHash('sha256');
  count = 0;

  add(unpaddedBytes: number, plainBytes: number): void {
    this.count++;
    this.#hash.update(`${unpaddedBytes} ${plainBytes}\n`);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

interface Index {
  /** Blocks it has told of; null: it has not said how many there are. */
  left: number | null;
  readonly sizes: BlockSizes;
  bytes: number;
  crc: number;
}

interface Stream {
  readonly flags: Buffer;
  readonly checkType: number;
  readonly blocks: BlockSizes;
  block: XzBlock | null;
  index: Index | null;
  isOver: boolean;
}

/** Fed with pieces of any size; holds one chunk and its dictionary. Errors of all: `invalidArgument`. */
export class XzDecoder {
  #held: Buffer = Buffer.alloc(0);
  /** What `held` is the rest of. */
  #whole: Buffer = this.#held;
  #stream: Stream | null = null;
  #streams = 0;
  #isEndOfChunks = false;
  #allowedBytes = 0;

  /** What the present block needs; `read` gives nothing before `allow` has been told as much. */
  get dictionaryBytes(): number {
    return this.#stream?.block?.header.dictionaryBytes ?? 0;
  }

  allow(bytes: number): void {
    this.#allowedBytes = bytes;
  }

  push(bytes: Buffer): void {
    const old = this.#whole;
    this.#whole = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    this.#held = this.#whole;
    giveBack(old);
  }

  /** It is over, wherever it is: the dictionary's memory goes now, not when the collector finds it. */
  release(): void {
    this.#stream?.block?.release();
  }

  /** The next plain bytes; null: it needs more input, or leave. */
  read(): Buffer | null {
    for (;;) {
      if (this.dictionaryBytes > this.#allowedBytes) return null;
      const block = this.#stream?.block ?? null;
      if (block?.isInChunk === true) return block.read(STEP_BYTES);
      if (!this.#step()) return null;
    }
  }

  /** The input has ended. */
  finish(): void {
    if (this.#stream !== null || this.#streams === 0 || this.#held.length > 0)
      throw new EngineError('invalidArgument', 'unexpected EOF');
  }

  /** Takes the next part of the container; false when it is not all there. */
  #step(): boolean {
    const stream = this.#stream;
    if (stream === null) return this.#streamHeader();
    if (stream.block !== null)
      return this.#isEndOfChunks ? this.#blockEnd(stream, stream.block) : this.#chunk(stream.block);
    if (stream.isOver) return this.#footer(stream);
    return stream.index === null ? this.#blockHeader(stream) : this.#index(stream, stream.index);
  }

  #take(length: number): Buffer | null {
    if (this.#held.length < length) return null;
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  /** Between two streams may stand zeros, four at a time. */
  #streamHeader(): boolean {
    if (this.#streams > 0 && this.#held.length >= 4 && this.#held.readUInt32LE(0) === 0)
      return this.#take(4) !== null;
    const header = this.#take(HEADER_BYTES);
    if (header === null) return false;
    const flags = Buffer.from(header.subarray(6, 8));
    if (!isXz(header) || crc32(flags) !== header.readUInt32LE(8)) throw damaged('xz stream header');
    const checkType = flags.readUInt8(1);
    if (flags[0] !== 0 || xzCheck(checkType) === null) throw damaged('xz check of an unknown kind');
    const blocks = new BlockSizes();
    this.#stream = { flags, checkType, blocks, block: null, index: null, isOver: false };
    this.#streams++;
    return true;
  }

  #blockHeader(stream: Stream): boolean {
    const first = this.#held[0];
    if (first === undefined) return false;
    if (first === 0) {
      stream.index = { left: null, sizes: new BlockSizes(), bytes: 0, crc: 0 };
      this.#indexBytes(stream.index, 1);
      return true;
    }
    const header = this.#take((first + 1) * 4);
    const check = xzCheck(stream.checkType);
    if (header === null || check === null) return false;
    stream.block = new XzBlock(parseBlockHeader(header), check);
    this.#isEndOfChunks = false;
    return true;
  }

  #chunk(block: XzBlock): boolean {
    const length = block.begin(this.#held);
    if (length === 0) return false;
    this.#take(length);
    this.#isEndOfChunks = !block.isInChunk;
    return true;
  }

  #blockEnd(stream: Stream, block: XzBlock): boolean {
    const padding = (4 - (block.packedBytes % 4)) % 4;
    const tail = this.#take(padding + block.check.bytes);
    if (tail === null) return false;
    block.verify(tail);
    stream.blocks.add(block.unpaddedBytes, block.plainBytes);
    block.release();
    stream.block = null;
    return true;
  }

  #indexBytes(index: Index, length: number): void {
    const bytes = this.#take(length) as Buffer;
    index.crc = crc32(bytes, index.crc);
    index.bytes += length;
  }

  /** One field of it at a time: how many blocks there are, then two sizes of each. */
  #index(stream: Stream, index: Index): boolean {
    if (index.left === 0) return this.#indexEnd(stream, index);
    const first = xzNumber(this.#held, 0);
    if (first === null) return false;
    if (index.left === null) {
      if (first.value !== stream.blocks.count) throw damaged('xz index');
      index.left = first.value;
      this.#indexBytes(index, first.end);
      return true;
    }
    const second = xzNumber(this.#held, first.end);
    if (second === null) return false;
    index.sizes.add(first.value, second.value);
    index.left--;
    this.#indexBytes(index, second.end);
    return true;
  }

  #indexEnd(stream: Stream, index: Index): boolean {
    const padding = (4 - (index.bytes % 4)) % 4;
    if (this.#held.length < padding + 4) return false;
    if (this.#held.subarray(0, padding).some((byte) => byte !== 0)) throw damaged('xz index');
    this.#indexBytes(index, padding);
    const isWhole = this.#take(4)?.readUInt32LE(0) === index.crc;
    if (!isWhole || index.sizes.digest() !== stream.blocks.digest()) throw damaged('xz index');
    index.bytes += 4;
    stream.isOver = true;
    return true;
  }

  #footer(stream: Stream): boolean {
    const footer = this.#take(FOOTER_BYTES);
    if (footer === null) return false;
    const isWhole = crc32(footer.subarray(4, 10)) === footer.readUInt32LE(0);
    const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
    const isSame = footer.subarray(8, 10).equals(stream.flags) && indexBytes === stream.index?.bytes;
    if (!isWhole || !isSame || !footer.subarray(10).equals(FOOTER_MAGIC)) throw damaged('xz stream footer');
    this.#stream = null;
    return true;
  }
}
