import { Readable, type Transform } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';
import type { Budget, ByteSource, PlainSource } from './byte-source.ts';
import { isBzip2 } from './bzip2-decoder.ts';
import { Bzip2Source } from './bzip2-source.ts';
import { UNSHARED_BUDGET } from './window-budget.ts';
import { isXz } from './xz-decoder.ts';
import { XzSource } from './xz-source.ts';
import { isZstd } from './zstd-frame.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Of what node's decoders give: each piece is the next part of a buffer of this size, until it is full. */
export const CHUNK = 256 * 1024;
/** 128 MiB: what `zstd --long` needs at most by default; larger windows are a memory bomb. */
export const ZSTD_WINDOW_LOG_MAX = 27;

/** Tells by the first bytes. */
export function detectCompression(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (isZstd(head)) return 'zstd';
  if (isXz(head)) return 'xz';
  if (isBzip2(head)) return 'bzip2';
  return 'none';
}

export interface Decoding {
  readonly compression: 'gzip' | 'zstd';
  /** zstd: frames that look back further are refused. Default: 27. */
  readonly windowLog?: number;
}

/** One of node's decoders. */
export function decoderOf({ compression, windowLog = ZSTD_WINDOW_LOG_MAX }: Decoding): Transform {
  // Loaded when it is needed: it costs milliseconds of every start otherwise.
  const { constants, createGunzip, createZstdDecompress } = process.getBuiltinModule('node:zlib');
  if (compression === 'gzip') return createGunzip({ chunkSize: CHUNK });
  return createZstdDecompress({
    chunkSize: CHUNK,
    params: { [constants.ZSTD_d_windowLogMax]: windowLog },
  });
}

async function* decoded(source: Readable, decoding: Decoding): AsyncGenerator<Buffer> {
  const transform = decoderOf(decoding);
  source.once('error', (error) => transform.destroy(error));
  source.pipe(transform);
  try {
    for await (const chunk of transform) yield chunk as Buffer;
  } catch (error) {
    throw decodeError(error);
  } finally {
    source.destroy();
    transform.destroy();
  }
}

function pulled(source: AsyncIterable<Uint8Array>): { readonly source: ByteSource; end(): Promise<void> } {
  const iterator = source[Symbol.asyncIterator]();
  const next = async (): Promise<Buffer | null> => {
    const step = await iterator.next();
    return step.done === true ? null : asBuffer(step.value);
  };
  return { source: { next }, end: async () => void (await iterator.return?.()) };
}

/** Our own decoders work on this thread: others have their turn after each piece. */
async function* decodedHere(
  stored: AsyncIterable<Uint8Array>,
  decoder: (source: ByteSource) => PlainSource,
): AsyncGenerator<Buffer> {
  const { source, end } = pulled(stored);
  const plain = decoder(source);
  try {
    for (let piece = await plain.next(); piece !== null; piece = await plain.next()) {
      yield piece;
      await nextTurn();
    }
  } finally {
    await plain.stop();
    await end();
  }
}

/** What an archive's first frame or block says is reserved; small windows (8 MiB) are there in any case. */
export function looksBackFurther(cause?: Error): EngineError {
  const text = 'compressed archive with a later part that looks back further than its first (and than 8 MiB)';
  return new EngineError('invalidArgument', text, {
    ...(cause !== undefined && { cause }),
    hint: 'Compress it as a whole with one window, or decompress it first.',
  });
}

export function largerThan(maxBytes: number): EngineError {
  return new EngineError('tooLarge', `the archive is larger than ${maxBytes} bytes when it is decompressed`);
}

/** A broken stream gets the text clients know; a failing disk keeps its own. */
export function decodeError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (error.code === 'Z_BUF_ERROR')
    return new EngineError('invalidArgument', 'unexpected EOF', { cause: error });
  if (error.code === 'ZSTD_error_frameParameter_windowTooLarge') return looksBackFurther(error);
  if (!error.code.startsWith('Z_') && !error.code.startsWith('ZSTD_')) return error;
  return new EngineError('invalidArgument', `damaged compressed archive: ${error.message}`, { cause: error });
}

/** The same bytes; the memory of each piece goes when the next one is asked for. */
async function* givenBack(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of source) {
    yield piece;
    giveBack(piece);
  }
}

export interface DecompressOptions extends Pick<Decoding, 'windowLog'> {
  /** Asked by xz for the dictionary of each of its blocks. Default: there is enough for anybody. */
  readonly budget?: Budget;
}

/**
 * The plain bytes of a stream that is read as slowly as its consumer wants. A piece is valid until the next
 * one is asked for.
 */
export async function* decompressStream(
  source: AsyncIterable<Uint8Array>,
  { windowLog = ZSTD_WINDOW_LOG_MAX, budget = UNSHARED_BUDGET }: DecompressOptions = {},
): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const held: Buffer[] = [];
  let size = 0;
  while (size < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    held.push(asBuffer(next.value));
    size += next.value.length;
  }
  const rest = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* held;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield asBuffer(next.value);
      }
    } finally {
      await iterator.return?.();
    }
  };
  const compression = detectCompression(Buffer.concat(held));
  if (compression === 'none') yield* givenBack(rest());
  else if (compression === 'xz')
    yield* givenBack(decodedHere(rest(), (stored) => new XzSource(stored, budget)));
  else if (compression === 'bzip2') yield* decodedHere(rest(), (stored) => new Bzip2Source(stored));
  else yield* decoded(Readable.from(rest(), { objectMode: false }), { compression, windowLog });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
