import { open, rm } from 'node:fs/promises';
import { giveBack } from '#base/give-back.ts';
import { LIMITS } from '#base/limits.ts';
import type { Intakes } from './intake.ts';
import { IntakeWriter } from './intake-writer.ts';
import type { Budget } from './layer/byte-source.ts';
import { decompressStream, detectCompression, largerThan, looksBackFurther } from './layer/decompress.ts';
import { isLargeWindow } from './layer/window-budget.ts';
import type { WorkerPool } from './layer/worker-pool.ts';
import { xzDictionaryBytes } from './layer/xz-block.ts';
import { zstdWindowBytes } from './layer/zstd-frame.ts';
import type { PlainOf } from './tar-reader.ts';

/** The longest beginning that tells how far an archive looks back: xz's header, and that of a block. */
const HEAD_BYTES = 12 + 1024;
/** Small windows; later frames of an archive may have larger ones than the first, up to this. */
const SMALL_WINDOW_LOG = 23;
const PIECE_BYTES = 256 * 1024;

/** Later parts of an archive must not look back further than a small window: it is decoded as it comes. */
const SMALL_WINDOWS: Budget = {
  take: (bytes) =>
    isLargeWindow(bytes) ? Promise.reject(looksBackFurther()) : Promise.resolve(() => undefined),
};

interface PlainOptions {
  readonly intakes: Pick<Intakes, 'openUnknown'>;
  readonly pool: Pick<WorkerPool, 'run'>;
  /** Default: `LIMITS.plainArchiveBytes`. */
  readonly maxBytes?: number;
}

/**
 * Archives are decompressed as they come. One that looks back far is written down first, then decompressed
 * into another file with the leave of all who do so, and read from there: its sender may take as long as it
 * wants, and layers in it may look back as far.
 */
export function createPlainOf(options: PlainOptions): PlainOf {
  return async function* (source, signal) {
    const { head, whole } = await withHead(source);
    if (looksBackFar(head)) yield* fromFile(options, whole, signal);
    else {
      const plain = decompressStream(whole, { windowLog: SMALL_WINDOW_LOG, budget: SMALL_WINDOWS });
      yield* detectCompression(head) === 'bzip2' ? bounded(options, plain, signal) : plain;
    }
  };
}

async function withHead(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Buffer; readonly whole: AsyncGenerator<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  for (let bytes = 0; bytes < HEAD_BYTES; ) {
    const next = await iterator.next();
    if (next.done === true) break;
    held.push(next.value);
    bytes += next.value.length;
  }
  const head = Buffer.concat(held).subarray(0, HEAD_BYTES);
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* held.splice(0);
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
        yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  return { head, whole: whole() };
}

/** What begins with something else than data may look back as far as it wants. */
function looksBackFar(head: Buffer): boolean {
  const compression = detectCompression(head);
  if (compression === 'zstd') return isLargeWindow(zstdWindowBytes(head) ?? Infinity);
  return compression === 'xz' && isLargeWindow(xzDictionaryBytes(head) ?? Infinity);
}

/** One byte of bzip2 may become a million: neither its sender's patience nor the archive's length is a bound. */
async function* bounded(
  { maxBytes = LIMITS.plainArchiveBytes }: PlainOptions,
  plain: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of plain) {
    signal?.throwIfAborted();
    size += piece.length;
    if (size > maxBytes) throw largerThan(maxBytes);
    yield piece;
  }
}

async function* fromFile(
  { intakes, pool, maxBytes = LIMITS.plainArchiveBytes }: PlainOptions,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const stored = await intakes.openUnknown();
  const target = `${stored.file.path}-plain`;
  try {
    const writer = new IntakeWriter(stored);
    try {
      for await (const piece of source) {
        await writer.add(piece);
        giveBack(piece);
      }
      await writer.end();
    } finally {
      await writer.stop();
    }
    stored.end();
    const job = { kind: 'decompress', path: stored.file.path, target, maxBytes } as const;
    await pool.run(job, signal === undefined ? {} : { signal });
    await stored.close();
    for await (const piece of piecesOf(target)) {
      signal?.throwIfAborted();
      yield piece;
    }
  } finally {
    await rm(target, { force: true });
    await stored.close();
  }
}

async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  const handle = await open(path);
  try {
    const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
