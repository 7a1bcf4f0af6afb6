import { createHash } from 'node:crypto';
import { EngineError, isEngineError } from '#base/errors.ts';
import type { Files } from '#host/kernel.ts';
import type { UnpackJob, UnpackResult } from './apply-job.ts';
import { LayerWriter } from './apply-layer.ts';
import type { Budget, PlainSource } from './byte-source.ts';
import { namingEntries } from './entry-errors.ts';
import { StoredBytes } from './growing-source.ts';
import { plainSource } from './plain-source.ts';
import { TarParser, type TarHandler } from './tar-parser.ts';
import { isLargeWindow } from './window-budget.ts';

/** What a job gets from the thread it runs on. */
export interface JobContext {
  readonly files: Files;
  readonly budget: Budget;
  readonly signal: AbortSignal;
  readonly onRead: (readBytes: number) => void;
}

const UNWRITTEN: TarHandler = { entry: () => undefined, data: () => undefined, entryEnd: () => undefined };

function mismatch(expected: string, actual: string): EngineError {
  const error = new EngineError(
    'invalidArgument',
    `filesystem layer verification failed for digest ${expected}`,
    { hint: `What came has the digest ${actual}.` },
  );
  return Object.assign(error, { code: 'DIGEST_MISMATCH' });
}

/**
 * One pass over an archive: its digest, the digest of its plain bytes, and its entries in a tree. Errors:
 * `invalidArgument` (with the code `DIGEST_MISMATCH` when the stored bytes are not the expected ones, whatever
 * else is wrong with them), the kernel's.
 */
export async function unpackArchive(context: JobContext, job: UnpackJob): Promise<UnpackResult> {
  const stop = new AbortController();
  const stored = new StoredBytes({
    ...context,
    path: job.path,
    progress: job.progress,
    hashed: job.blobDigest !== 'trust',
    signal: AbortSignal.any([context.signal, stop.signal]),
  });
  const pass = new Pass(context, job, stored);
  try {
    const result = await pass.run();
    stored.release();
    return result;
  } finally {
    stop.abort();
    await pass.close();
    await stored.close();
  }
}

class Pass {
  readonly #context: JobContext;
  readonly #job: UnpackJob;
  readonly #stored: StoredBytes;
  readonly #root: number | null;
  readonly #writer: LayerWriter | null;
  readonly #parser: TarParser;
  #plain: PlainSource | null = null;

  constructor(context: JobContext, job: UnpackJob, stored: StoredBytes) {
    const { files } = context;
    const { target, whiteouts } = job;
    this.#context = context;
    this.#job = job;
    this.#stored = stored;
    this.#root = target === null ? null : files.openRoot(target);
    this.#writer =
      this.#root === null ? null : new LayerWriter({ files, root: this.#root, whiteouts, lowerRoots: [] });
    this.#parser = new TarParser(namingEntries(this.#writer ?? UNWRITTEN));
  }

  async run(): Promise<UnpackResult> {
    const { expected } = this.#expected();
    let ownDiffId: string | null;
    try {
      ownDiffId = await this.#readPlain();
    } catch (error) {
      throw await this.#blamed(error, expected);
    }
    await this.#stored.drain();
    const blobDigest = this.#stored.digest();
    if (expected !== null && blobDigest !== null && blobDigest !== expected)
      throw mismatch(expected, blobDigest);
    const diffId = ownDiffId ?? blobDigest ?? '';
    if (this.#job.diffId !== null && diffId !== this.#job.diffId) {
      throw new EngineError(
        'invalidArgument',
        `invalid diffID for layer: expected "${this.#job.diffId}", got "${diffId}"`,
      );
    }
    this.#writer?.finish();
    const writer = this.#writer;
    return {
      ...(writer?.usage ?? { sizeBytes: 0, inodes: 0 }),
      diffId,
      blobDigest,
      implied: writer?.implied ?? [],
      sawRoot: writer?.sawRoot ?? true,
    };
  }

  #expected(): { readonly expected: string | null } {
    const { blobDigest } = this.#job;
    return typeof blobDigest === 'object' ? blobDigest : { expected: null };
  }

  /** The digest of the plain bytes; null when that is the one of the stored ones. */
  async #readPlain(): Promise<string | null> {
    const plain = await plainSource(this.#stored, { take: (bytes) => this.#takeWindow(bytes) });
    this.#plain = plain;
    const hash = plain.isStored && this.#job.blobDigest !== 'trust' ? null : createHash('sha256');
    for (let piece = await plain.next(); piece !== null; piece = await plain.next()) {
      // A few bytes may become gigabytes: it is not asked often enough when more is read.
      this.#context.signal.throwIfAborted();
      hash?.update(piece);
      this.#parser.push(piece);
    }
    this.#parser.finish();
    return hash === null ? null : `sha256:${hash.digest('hex')}`;
  }

  /** A large window is not held while an archive is on its way: nobody knows how long that takes. */
  async #takeWindow(bytes: number): Promise<() => void> {
    if (isLargeWindow(bytes)) await this.#stored.whole();
    return this.#context.budget.take(bytes);
  }

  /** An archive that came damaged is told from one that was made so. */
  async #blamed(error: unknown, expected: string | null): Promise<unknown> {
    if (expected === null || !isEngineError(error, 'invalidArgument')) return error;
    await this.#plain?.stop();
    await this.#stored.drain();
    const actual = this.#stored.digest();
    return actual === null || actual === expected ? error : mismatch(expected, actual);
  }

  async close(): Promise<void> {
    await this.#plain?.stop();
    this.#writer?.close();
    if (this.#root !== null) this.#context.files.close(this.#root);
  }
}
