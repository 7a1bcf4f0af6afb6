import type { Transform } from 'node:stream';
import { EngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';
import type { Budget, ByteSource, PlainSource } from './byte-source.ts';
import { Bzip2Source } from './bzip2-source.ts';
import { CHUNK, decodeError, decoderOf, detectCompression, ZSTD_WINDOW_LOG_MAX } from './decompress.ts';
import { XzSource } from './xz-source.ts';
import { ZSTD_HEAD_BYTES, zstdWindowBytes } from './zstd-frame.ts';

/** A frame that does not tell its window may want the largest one. */
const LARGEST_WINDOW = 2 ** ZSTD_WINDOW_LOG_MAX;
/** Later frames of the same archive may have larger windows than the first, up to this. */
const USUAL_WINDOW_LOG = 23;

/** Decompresses a source, whatever it is compressed with. Errors: `invalidArgument`. */
export async function plainSource(stored: ByteSource, budget: Budget): Promise<PlainSource> {
  const { head, source } = await withHead(stored);
  switch (detectCompression(head)) {
    case 'none':
      return { isStored: true, next: () => source.next(), stop: () => Promise.resolve() };
    case 'gzip':
      return new DecodedSource(source, decoderOf({ compression: 'gzip' }), () => undefined);
    case 'zstd': {
      const window = zstdWindowBytes(head) ?? LARGEST_WINDOW;
      if (window > LARGEST_WINDOW)
        throw new EngineError('invalidArgument', `damaged compressed archive: window of ${window} bytes`);
      const windowLog = Math.max(USUAL_WINDOW_LOG, Math.ceil(Math.log2(window)));
      const release = await budget.take(2 ** windowLog);
      return new DecodedSource(source, decoderOf({ compression: 'zstd', windowLog }), release);
    }
    case 'xz':
      return givingBack(new XzSource(source, budget));
    case 'bzip2':
      return new Bzip2Source(source);
  }
}

/** Pieces are copies of their own: the memory of each goes when the next is asked for. */
function givingBack(plain: PlainSource): PlainSource {
  let given: Buffer | null = null;
  const next = async (): Promise<Buffer | null> => {
    if (given !== null) giveBack(given);
    given = await plain.next();
    return given;
  };
  return { isStored: plain.isStored, next, stop: () => plain.stop() };
}

/** Reads until the beginning is long enough, and gives a source that begins with it. */
async function withHead(stored: ByteSource): Promise<{ head: Buffer; source: ByteSource }> {
  let first = (await stored.next()) ?? Buffer.alloc(0);
  while (first.length > 0 && first.length < ZSTD_HEAD_BYTES) {
    const held = Buffer.from(first);
    const more = await stored.next();
    if (more === null) {
      first = held;
      break;
    }
    first = Buffer.concat([held, more]);
  }
  let isGiven = first.length === 0;
  const next = (): Promise<Buffer | null> => {
    if (isGiven) return stored.next();
    isGiven = true;
    return Promise.resolve(first);
  };
  return { head: first, source: { next } };
}

/** The buffer of a piece that ends it: the decoder has another one by then. */
function giveBackFull({ buffer, byteOffset, byteLength }: Buffer): void {
  if (buffer.byteLength === CHUNK && byteOffset + byteLength === CHUNK) giveBack(new Uint8Array(buffer));
}

/** A decoder of node's, which works on node's own threads: while it does, its last piece is unpacked. */
class DecodedSource implements PlainSource {
  readonly isStored = false;
  readonly #source: ByteSource;
  readonly #transform: Transform;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #ended: Promise<unknown>;
  readonly #feeding: Promise<void>;
  readonly #release: () => void;
  #given: Buffer | null = null;
  #last: Buffer | null = null;
  #isStopped = false;

  constructor(source: ByteSource, transform: Transform, release: () => void) {
    this.#source = source;
    this.#transform = transform;
    this.#release = release;
    this.#ended = new Promise((resolve) => transform.once('end', resolve).once('close', resolve));
    // The one who reads gets it.
    transform.on('error', () => undefined);
    this.#pieces = transform[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#feeding = this.#feed();
  }

  async #feed(): Promise<void> {
    try {
      while (!this.#isStopped) {
        const piece = await this.#source.next();
        if (piece === null) {
          this.#transform.end();
          return;
        }
        if (!(await this.#write(piece))) return;
      }
    } catch (error) {
      this.#transform.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** False when it takes no more: behind the end of the compressed data may stand anything. */
  #write(piece: Buffer): Promise<boolean> {
    if (this.#transform.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#transform.write(piece, (error) => resolve(error === null || error === undefined));
      void this.#ended.then(() => resolve(false));
    });
  }

  async next(): Promise<Buffer | null> {
    if (this.#given !== null) giveBackFull(this.#given);
    this.#last = this.#given;
    this.#given = null;
    let step: IteratorResult<Buffer>;
    try {
      step = await this.#pieces.next();
    } catch (error) {
      throw decodeError(error);
    }
    if (step.done !== true) return (this.#given = step.value);
    this.#giveBackLast();
    await this.#feeding;
    return null;
  }

  /** The decoder has ended and writes no more: the buffer of its last piece was not full. */
  #giveBackLast(): void {
    if (this.#last !== null && this.#last.buffer.byteLength === CHUNK)
      giveBack(new Uint8Array(this.#last.buffer));
    this.#last = null;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#transform.destroy();
    await this.#feeding;
    this.#release();
  }
}
