import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, errorCode } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Files } from '#host/kernel.ts';
import { digestFromHex, digestHex, type Digest } from '#oci/digest.ts';
import type { Intake, Intakes, PartialBlob, UnknownIntake } from '../intake.ts';
import { PartialFile } from './partial-file.ts';

const HEX_64 = /^[0-9a-f]{64}$/;

export interface FileIntakesOptions {
  /** Partial blobs that outlive a run: `<hex>`. */
  readonly partial: string;
  /** Those that do not; somebody empties it at start. */
  readonly temporary: string;
  readonly files: Pick<Files, 'startWriteBack' | 'writeAt'>;
  /** Makes a flushed file a blob of the content store. */
  readonly adopt: (path: string, digest: Digest) => Promise<void>;
  /** The digest of a file, found out on another thread. */
  readonly digestOf: (path: string) => Promise<Digest>;
}

/** What both kinds of intakes do with their file. */
class OpenFile {
  readonly #options: FileIntakesOptions;
  readonly #path: string;
  readonly #onClosed: () => void;
  readonly partial: PartialFile;
  #isDone = false;

  constructor(options: FileIntakesOptions, partial: PartialFile, onClosed: () => void = () => undefined) {
    this.#options = options;
    this.#path = partial.file.path;
    this.#onClosed = onClosed;
    this.partial = partial;
  }

  digest(): Promise<Digest> {
    return this.#options.digestOf(this.#path);
  }

  async publish(digest: Digest): Promise<void> {
    await this.partial.flush();
    await this.#options.adopt(this.#path, digest);
    await this.close('keep');
  }

  async close(how: 'keep' | 'discard'): Promise<void> {
    if (this.#isDone) return;
    this.#isDone = true;
    try {
      await this.partial.close();
      if (how === 'discard') await rm(this.#path, { force: true });
    } finally {
      this.#onClosed();
    }
  }
}

/** Blobs on their way in, as files `partial/<hex>`: what was written of them survives the process. */
export class FileIntakes implements Intakes {
  readonly #options: FileIntakesOptions;
  readonly #open = new Set<Digest>();

  private constructor(options: FileIntakesOptions) {
    this.#options = options;
  }

  static async open(options: FileIntakesOptions): Promise<FileIntakes> {
    await mkdir(options.partial, { recursive: true, mode: 0o700 });
    return new FileIntakes(options);
  }

  async open({ digest, sizeBytes }: { digest: Digest; sizeBytes: number }): Promise<Intake> {
    if (this.#open.has(digest)) throw new EngineError('conflict', `${digest} is on its way already`);
    this.#open.add(digest);
    const release = (): void => void this.#open.delete(digest);
    try {
      const path = join(this.#options.partial, digestHex(digest));
      const { files } = this.#options;
      return this.#known({ digest, sizeBytes }, await PartialFile.open({ path, sizeBytes, files }), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  #known(
    { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
    partial: PartialFile,
    release: () => void,
  ): Intake {
    const file = new OpenFile(this.#options, partial, release);
    return {
      digest,
      sizeBytes,
      ...faceOf(file),
      get haveBytes() {
        return partial.haveBytes;
      },
      publish: () => file.publish(digest),
      verify: async () => {
        const actual = await file.digest();
        if (actual !== digest)
          throw new EngineError('invalidArgument', `unexpected digest: expected ${digest}, got ${actual}`);
      },
    };
  }

  async openUnknown(): Promise<UnknownIntake> {
    const path = join(this.#options.temporary, randomBytes(12).toString('hex'));
    const { files } = this.#options;
    const partial = await PartialFile.open({ path, sizeBytes: null, files });
    const file = new OpenFile(this.#options, partial);
    return {
      ...faceOf(file),
      get haveBytes() {
        return partial.haveBytes;
      },
      digest: () => file.digest(),
      publishAs: (digest) => file.publish(digest),
      // Nobody could find it again.
      close: () => file.close('discard'),
    };
  }

  async partials(): Promise<readonly PartialBlob[]> {
    const found: PartialBlob[] = [];
    for (const name of await readdir(this.#options.partial)) {
      if (!HEX_64.test(name)) continue;
      const facts = await stat(join(this.#options.partial, name)).catch((error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error;
        return null;
      });
      if (facts !== null)
        found.push({ digest: digestFromHex(name), sizeBytes: facts.size, changedMs: facts.mtimeMs });
    }
    return found;
  }

  async expire(keep: ReadonlySet<string>, nowMs: number): Promise<void> {
    const newestFirst = [...(await this.partials())].sort((a, b) => b.changedMs - a.changedMs);
    let keptBytes = 0;
    for (const { digest, sizeBytes, changedMs } of newestFirst) {
      if (this.#open.has(digest)) continue;
      const isWanted = keep.has(digest) && nowMs - changedMs <= LIMITS.partialKeepMs;
      if (isWanted && keptBytes + sizeBytes <= LIMITS.partialKeepBytes) keptBytes += sizeBytes;
      else await rm(join(this.#options.partial, digestHex(digest)), { force: true });
    }
  }
}

function faceOf(file: OpenFile): Pick<Intake, 'file' | 'append' | 'restart' | 'end' | 'fail' | 'close'> {
  const { partial } = file;
  return {
    file: partial.file,
    append: (chunks) => partial.append(chunks),
    restart: () => partial.restart(),
    end: () => partial.end(),
    fail: () => partial.fail(),
    close: (how) => file.close(how),
  };
}
