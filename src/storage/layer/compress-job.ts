import { createHash } from 'node:crypto';
import { write } from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import type { CompressJob, CompressResult } from './apply-job.ts';
import type { ByteSource } from './byte-source.ts';
import { StoredBytes } from './growing-source.ts';
import { plainSource } from './plain-source.ts';
import type { JobContext } from './unpack-archive.ts';

/** Each is a gzip member of its own (RFC 1952, 2.2), so that one large layer keeps all processors busy. */
const BLOCK_BYTES = 1024 * 1024;
const BLOCKS_AT_ONCE = 4;
const LEVEL = 6;

const writeTo = promisify(write);

function compressed(block: Buffer): Promise<Buffer> {
  // Loaded when it is needed: it costs milliseconds of every start otherwise.
  const { gzip } = process.getBuiltinModule('node:zlib');
  // Room for all of it at once: nothing is copied, and what is not written costs no memory.
  return promisify(gzip)(block, { level: LEVEL, chunkSize: BLOCK_BYTES });
}

/** Fills blocks of one size from a source, whose last one is shorter. Null at the end. */
class Blocks {
  readonly #source: ByteSource;
  /** What the last block had no room for. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async fill(block: Buffer): Promise<Buffer | null> {
    let filled = 0;
    while (filled < block.length) {
      if (this.#rest.length === 0) {
        const piece = await this.#source.next();
        if (piece === null) break;
        this.#rest = piece;
      }
      const length = this.#rest.copy(block, filled);
      this.#rest = this.#rest.subarray(length);
      filled += length;
    }
    return filled === 0 ? null : block.subarray(0, filled);
  }
}

/** The compressed blocks in their order, some of them made ahead. Always in the same memory. */
async function* compressedBlocks(source: ByteSource): AsyncGenerator<Buffer> {
  const blocks = new Blocks(source);
  const ahead: { readonly memory: Buffer; readonly coming: Promise<Buffer> }[] = [];
  const start = (memory: Buffer, block: Buffer): void => {
    const coming = compressed(block);
    // Whoever takes it is told.
    coming.catch(() => undefined);
    ahead.push({ memory, coming });
  };
  const free: Buffer[] = Array.from({ length: BLOCKS_AT_ONCE }, () => Buffer.allocUnsafeSlow(BLOCK_BYTES));
  let isOver = false;
  let started = 0;
  try {
    for (;;) {
      for (let memory = isOver ? undefined : free.pop(); memory !== undefined; memory = free.pop()) {
        const block = await blocks.fill(memory);
        isOver = block === null;
        // An empty archive is compressed, too.
        if (block !== null || started === 0) start(memory, block ?? memory.subarray(0, 0));
        started++;
        if (isOver) break;
      }
      const first = ahead.shift();
      if (first === undefined) return;
      yield await first.coming;
      free.push(first.memory);
    }
  } finally {
    // Memory that is still read is not given up.
    await Promise.allSettled(ahead.map(({ coming }) => coming));
  }
}

/** Writes an archive compressed with gzip into a new file. The same bytes give the same file. */
export async function compressFile(context: JobContext, job: CompressJob): Promise<CompressResult> {
  const { files } = context;
  const stored = new StoredBytes({ ...context, path: job.path, progress: null, hashed: false });
  const directory = files.openRoot(dirname(job.target));
  try {
    const plain = await plainSource(stored, context.budget);
    const options = { access: 'write', create: true, exclusive: true, mode: 0o600 } as const;
    const fd = files.open(directory, basename(job.target), options);
    try {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      for await (const bytes of compressedBlocks(plain)) {
        hash.update(bytes);
        for (let at = 0; at < bytes.length; )
          at += (await writeTo(fd, bytes, at, bytes.length - at, sizeBytes + at)).bytesWritten;
        sizeBytes += bytes.length;
      }
      return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
    } finally {
      files.close(fd);
      await plain.stop();
    }
  } finally {
    files.close(directory);
    await stored.close();
  }
}
