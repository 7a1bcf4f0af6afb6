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
const BLOCK_BYTES = 2 * 1024 * 1024;
const BLOCKS_AT_ONCE = 3;
const LEVEL = 6;

const writeTo = promisify(write);

function compressed(block: Buffer): Promise<Buffer> {
  // Loaded when it is needed: it costs milliseconds of every start otherwise.
  const { gzip } = process.getBuiltinModule('node:zlib');
  return promisify(gzip)(block, { level: LEVEL, chunkSize: BLOCK_BYTES / 2 });
}

/** The source's bytes in blocks of one size; the last one is shorter. */
async function* blocksOf(source: ByteSource): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let fill = 0;
  for (let piece = await source.next(); piece !== null; piece = await source.next()) {
    for (let at = 0; at < piece.length; ) {
      const length = piece.copy(block, fill, at);
      at += length;
      fill += length;
      if (fill < BLOCK_BYTES) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      fill = 0;
    }
  }
  if (fill > 0) yield block.subarray(0, fill);
}

/** The compressed blocks in their order, some of them made ahead. */
async function* compressedBlocks(blocks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const ahead: Promise<Buffer>[] = [];
  const start = (block: Buffer): void => {
    const coming = compressed(block);
    // Whoever takes it is told.
    coming.catch(() => undefined);
    ahead.push(coming);
  };
  let isEmpty = true;
  for await (const block of blocks) {
    isEmpty = false;
    start(block);
    const first = ahead.length < BLOCKS_AT_ONCE ? undefined : ahead.shift();
    if (first !== undefined) yield await first;
  }
  if (isEmpty) start(Buffer.alloc(0));
  for (const coming of ahead) yield await coming;
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
      for await (const bytes of compressedBlocks(blocksOf(plain))) {
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
