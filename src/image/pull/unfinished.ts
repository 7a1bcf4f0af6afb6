import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeRecord, readRecord } from '#base/durable-record.ts';
import { errorMessage } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import { digestHex, isDigest, type Digest } from '#oci/digest.ts';

/** A pull that has begun: `pulls/<hex of the manifest>.json`. */
export interface UnfinishedPull {
  readonly manifest: Digest;
  /** Digests of the documents and layers, and chainIDs. */
  readonly names: readonly string[];
  readonly startedMs: number;
}

function parse(value: JsonValue): UnfinishedPull | null {
  if (!isJsonObject(value)) return null;
  const { manifest, names, startedMs } = value;
  if (!isDigest(manifest) || typeof startedMs !== 'number' || !Array.isArray(names)) return null;
  return { manifest, names: names.filter(isDigest), startedMs };
}

/**
 * What pulls that were interrupted have brought stays for their next try, for a day. The records are not
 * flushed: they outlive the process, and after a power cut the pull begins anew.
 */
export class UnfinishedPulls {
  readonly #directory: string;
  readonly #pulls = new Map<Digest, UnfinishedPull>();
  /** Of pulls that go on at this moment. */
  readonly #running = new Map<Digest, number>();
  /** A pull that begins must not lose its file to one that ends. */
  readonly #mutex = new KeyedMutex();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(
    directory: string,
    options: { readonly log: Log; readonly nowMs: number },
  ): Promise<UnfinishedPulls> {
    const pulls = new UnfinishedPulls(directory);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      const pull = await readRecord(path).then(parse, (error: unknown) => {
        options.log.warn('a record of an unfinished pull is of no use', { name, error: errorMessage(error) });
        return null;
      });
      const isYoung = pull !== null && options.nowMs - pull.startedMs <= LIMITS.partialKeepMs;
      if (isYoung && name === `${digestHex(pull.manifest)}.json`) pulls.#pulls.set(pull.manifest, pull);
      else await rm(path, { recursive: true, force: true });
    }
    return pulls;
  }

  /** Errors of its file; then it has not begun. */
  begin(pull: UnfinishedPull): Promise<void> {
    const { manifest } = pull;
    return this.#mutex.run(manifest, async () => {
      const path = this.#path(manifest);
      const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
      try {
        await writeFile(temporary, encodeRecord(pull), { mode: 0o600 });
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      this.#running.set(manifest, (this.#running.get(manifest) ?? 0) + 1);
      this.#pulls.set(manifest, pull);
    });
  }

  /** Once per `begin`. `forget`: it is whole, or nothing of it is worth keeping. */
  end(manifest: Digest, how: 'keep' | 'forget'): Promise<void> {
    return this.#mutex.run(manifest, async () => {
      const others = (this.#running.get(manifest) ?? 1) - 1;
      if (others > 0) this.#running.set(manifest, others);
      else this.#running.delete(manifest);
      if (others === 0 && how === 'forget') await this.#forget(manifest);
    });
  }

  async #forget(manifest: Digest): Promise<void> {
    if (this.#pulls.delete(manifest)) await rm(this.#path(manifest), { force: true });
  }

  /** Forgets those that nobody has gone on with for so long. */
  async forgetOlder(keepMs: number, nowMs: number): Promise<void> {
    for (const manifest of [...this.#pulls.keys()])
      await this.#mutex.run(manifest, async () => {
        const pull = this.#pulls.get(manifest);
        const isOld = pull !== undefined && nowMs - pull.startedMs >= keepMs;
        if (isOld && !this.#running.has(manifest)) await this.#forget(manifest);
      });
  }

  /** What no collection may take. */
  roots(): ReadonlySet<string> {
    return new Set([...this.#pulls.values()].flatMap((pull) => pull.names));
  }

  #path(manifest: Digest): string {
    return join(this.#directory, `${digestHex(manifest)}.json`);
  }
}
