import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeRecord, readRecord } from '#base/durable-record.ts';
import { errorMessage } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
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

  async begin(pull: UnfinishedPull): Promise<void> {
    this.#running.set(pull.manifest, (this.#running.get(pull.manifest) ?? 0) + 1);
    this.#pulls.set(pull.manifest, pull);
    const path = this.#path(pull.manifest);
    const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
    await writeFile(temporary, encodeRecord(pull), { mode: 0o600 });
    await rename(temporary, path);
  }

  /** Once per `begin`. `forget`: it is whole, or nothing of it is worth keeping. */
  async end(manifest: Digest, how: 'keep' | 'forget'): Promise<void> {
    const others = (this.#running.get(manifest) ?? 1) - 1;
    if (others > 0) this.#running.set(manifest, others);
    else this.#running.delete(manifest);
    if (others === 0 && how === 'forget') await this.#forget(manifest);
  }

  async #forget(manifest: Digest): Promise<void> {
    if (this.#pulls.delete(manifest)) await rm(this.#path(manifest), { force: true });
  }

  /** Forgets those that nobody has gone on with for so long. */
  async forgetOlder(keepMs: number, nowMs: number): Promise<void> {
    for (const { manifest, startedMs } of [...this.#pulls.values()])
      if (!this.#running.has(manifest) && nowMs - startedMs >= keepMs) await this.#forget(manifest);
  }

  /** What no collection may take. */
  roots(): ReadonlySet<string> {
    return new Set([...this.#pulls.values()].flatMap((pull) => pull.names));
  }

  #path(manifest: Digest): string {
    return join(this.#directory, `${digestHex(manifest)}.json`);
  }
}
