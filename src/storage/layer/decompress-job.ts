import { write } from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import type { DecompressJob } from './apply-job.ts';
import type { ByteSource } from './byte-source.ts';
import { largerThan } from './decompress.ts';
import { StoredBytes } from './growing-source.ts';
import { plainSource } from './plain-source.ts';
import type { JobContext } from './unpack-archive.ts';

const writeTo = promisify(write);

interface Target {
  readonly fd: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** A few bytes may become gigabytes: the signal is asked before each write, not when more is read. */
async function copy(plain: ByteSource, { fd, maxBytes, signal }: Target): Promise<void> {
  let position = 0;
  for (let piece = await plain.next(); piece !== null; piece = await plain.next()) {
    if (position + piece.length > maxBytes) throw largerThan(maxBytes);
    for (let left: Uint8Array = piece; left.length > 0; ) {
      signal.throwIfAborted();
      const { bytesWritten } = await writeTo(fd, left, 0, left.length, position);
      position += bytesWritten;
      left = left.subarray(bytesWritten);
    }
  }
}

/**
 * Writes the plain bytes of an archive into a new file. Errors: `invalidArgument`, `tooLarge`, the kernel's,
 * the signal's reason.
 */
export async function decompressFile(context: JobContext, job: DecompressJob): Promise<null> {
  const { files, signal } = context;
  const stored = new StoredBytes({ ...context, path: job.path, progress: null, hashed: false });
  const directory = files.openRoot(dirname(job.target));
  try {
    const options = { access: 'write', create: true, exclusive: true, mode: 0o600 } as const;
    const fd = files.open(directory, basename(job.target), options);
    try {
      const plain = await plainSource(stored, context.budget);
      try {
        await copy(plain, { fd, maxBytes: job.maxBytes, signal });
      } finally {
        await plain.stop();
      }
    } finally {
      files.close(fd);
    }
  } finally {
    files.close(directory);
    await stored.close();
  }
  return null;
}
