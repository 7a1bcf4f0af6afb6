import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeRecord, readRecord } from '#base/durable-record.ts';
import { errorCode } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { digestFromHex, digestHex, isDigest, type Digest } from '#oci/digest.ts';

/** What was found out about a blob on the way; to lose it costs time and nothing else. */
export interface BlobNote {
  /** Repositories that have it, newest first: `domain/path`. */
  readonly repositories: readonly string[];
  /** The same archive as registries want it. */
  readonly compressed: Digest | null;
}

const NOTHING: BlobNote = { repositories: [], compressed: null };
const NOTE_FILE = /^([0-9a-f]{64})\.json$/;

function parseNote(value: JsonValue): BlobNote {
  if (!isJsonObject(value)) return NOTHING;
  const { repositories, compressed } = value;
  const names = Array.isArray(repositories) ? repositories.filter((name) => typeof name === 'string') : [];
  return {
    repositories: names.slice(0, LIMITS.blobRepositories),
    compressed: isDigest(compressed) ? compressed : null,
  };
}

/** Notes on blobs: `sources/<hex of the blob>.json`. Nothing is flushed. */
export class BlobNotes {
  readonly #directory: string;
  readonly #notes: Map<Digest, BlobNote>;

  private constructor(directory: string, notes: Map<Digest, BlobNote>) {
    this.#directory = directory;
    this.#notes = notes;
  }

  static async open(directory: string): Promise<BlobNotes> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const notes = new Map<Digest, BlobNote>();
    for (const name of await readdir(directory)) {
      const hex = NOTE_FILE.exec(name)?.[1];
      const read = (): Promise<BlobNote | null> =>
        readRecord(join(directory, name)).then(parseNote, () => null);
      const note = hex === undefined ? null : await read();
      if (hex === undefined || note === null) await rm(join(directory, name), { force: true });
      else notes.set(digestFromHex(hex), note);
    }
    return new BlobNotes(directory, notes);
  }

  of(blob: Digest): BlobNote {
    return this.#notes.get(blob) ?? NOTHING;
  }

  /** A repository, `domain/path`, has the blob. */
  async isIn(blob: Digest, repository: string): Promise<void> {
    const note = this.of(blob);
    if (note.repositories[0] === repository) return;
    const others = note.repositories.filter((name) => name !== repository);
    await this.#write(blob, {
      ...note,
      repositories: [repository, ...others].slice(0, LIMITS.blobRepositories),
    });
  }

  /** It is not there any more. */
  async isNotIn(blob: Digest, repository: string): Promise<void> {
    const note = this.of(blob);
    if (!note.repositories.includes(repository)) return;
    const repositories = note.repositories.filter((name) => name !== repository);
    await this.#write(blob, { ...note, repositories });
  }

  async isCompressedAs(blob: Digest, compressed: Digest): Promise<void> {
    await this.#write(blob, { ...this.of(blob), compressed });
  }

  /** What belongs to these blobs: their compressed forms. */
  *belongings(blobs: Iterable<string>): Generator<Digest> {
    for (const blob of blobs) {
      const compressed = this.#notes.get(blob as Digest)?.compressed ?? null;
      if (compressed !== null) yield compressed;
    }
  }

  /** Drops what is noted on blobs that are gone. */
  async forget(blobs: Iterable<Digest>): Promise<void> {
    for (const blob of blobs) if (this.#notes.delete(blob)) await rm(this.#pathOf(blob), { force: true });
  }

  #pathOf(blob: Digest): string {
    return join(this.#directory, `${digestHex(blob)}.json`);
  }

  async #write(blob: Digest, note: BlobNote): Promise<void> {
    this.#notes.set(blob, note);
    const temporary = join(this.#directory, `.${randomBytes(6).toString('hex')}`);
    try {
      await writeFile(temporary, encodeRecord(note), { mode: 0o600 });
      await rename(temporary, this.#pathOf(blob));
    } catch (error) {
      await rm(temporary, { force: true });
      // Without space it is known until the engine ends.
      if (errorCode(error) === undefined) throw error;
    }
  }
}
