import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { quarantine, readRecord, syncDirectory, writeRecord } from '#base/durable-record.ts';
import { errorMessage } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import type { Log } from '#base/log.ts';
import { digestHex, isDigest, type Digest } from '#oci/digest.ts';

export interface LayerSource {
  readonly diffId: Digest;
  /** The archive as it came, compressed or not. */
  readonly blob: Digest;
}

/** The document that an image came with, kept byte for byte in the content store. */
export interface ManifestSource {
  readonly digest: Digest;
  readonly mediaType: string;
  /** The list it was chosen from. */
  readonly index?: Digest;
}

/** One image that is here: `images/<hex of the id>.json`, written when all of its parts are. */
export interface ImageRecord {
  readonly recordVersion: 1;
  readonly id: Digest;
  readonly parent: Digest | '';
  readonly layers: readonly LayerSource[];
  /** Where it came from a registry: the newest one. */
  readonly manifest?: ManifestSource;
}

/** A name: `references/<hash of the name>.json`. */
export interface ReferenceRecord {
  readonly recordVersion: 1;
  /** Normalised, whole. */
  readonly reference: string;
  readonly id: Digest;
  /** RFC 3339. */
  readonly taggedAt: string;
}

export function parseImageRecord(value: JsonValue): ImageRecord | null {
  if (!isJsonObject(value) || !isDigest(value['id']) || !Array.isArray(value['layers'])) return null;
  const { id, parent, layers } = value;
  const sources: LayerSource[] = [];
  for (const layer of layers) {
    if (!isJsonObject(layer) || !isDigest(layer['diffId']) || !isDigest(layer['blob'])) return null;
    sources.push({ diffId: layer['diffId'], blob: layer['blob'] });
  }
  const manifest = parseManifestSource(value['manifest']);
  return {
    recordVersion: 1,
    id: id,
    parent: isDigest(parent) ? parent : '',
    layers: sources,
    ...(manifest !== null && { manifest }),
  };
}

function parseManifestSource(value: JsonValue | undefined): ManifestSource | null {
  if (!isJsonObject(value)) return null;
  const { digest, mediaType, index } = value;
  if (!isDigest(digest) || typeof mediaType !== 'string') return null;
  return { digest, mediaType, ...(isDigest(index) && { index }) };
}

export function parseReferenceRecord(value: JsonValue): ReferenceRecord | null {
  if (!isJsonObject(value)) return null;
  const { reference, id, taggedAt } = value;
  if (typeof reference !== 'string' || typeof taggedAt !== 'string' || !isDigest(id)) return null;
  return { recordVersion: 1, reference, id, taggedAt };
}

export interface RecordDirectoryOptions<T> {
  readonly directory: string;
  readonly what: string;
  readonly parse: (value: JsonValue) => T | null;
  /** 64 hexadecimal digits that name the record's file. */
  readonly hexOf: (record: T) => string;
  readonly log: Log;
}

/** A directory of durable records. Writing costs two flushes, removing one. */
export class RecordDirectory<T> {
  readonly #options: RecordDirectoryOptions<T>;

  constructor(options: RecordDirectoryOptions<T>) {
    this.#options = options;
  }

  /** All that can be read; a damaged one is set aside and costs its own object only. */
  async readAll(): Promise<T[]> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const records: T[] = [];
    for (const name of await readdir(directory)) {
      if (name.endsWith('.tmp')) await rm(join(directory, name), { force: true });
      if (!name.endsWith('.json')) continue;
      try {
        const record = this.#options.parse(await readRecord(join(directory, name)));
        if (record === null || this.#name(record) !== name) throw new Error('it has another form');
        records.push(record);
      } catch (error) {
        await this.#setAside(name, errorMessage(error));
      }
    }
    return records;
  }

  async write(record: T): Promise<void> {
    await writeRecord(join(this.#options.directory, this.#name(record)), record);
  }

  async remove(record: T): Promise<void> {
    await rm(join(this.#options.directory, this.#name(record)), { force: true });
    await syncDirectory(this.#options.directory);
  }

  async setAside(record: T, why: string): Promise<void> {
    await this.#setAside(this.#name(record), why);
  }

  async #setAside(name: string, why: string): Promise<void> {
    const { directory, what, log } = this.#options;
    const to = await quarantine(join(directory, name), join(directory, 'quarantine'), name);
    log.error(`${what} is damaged and was set aside`, { name, to, error: why });
  }

  #name(record: T): string {
    return `${this.#options.hexOf(record)}.json`;
  }
}

export const imageHex = (record: ImageRecord): string => digestHex(record.id);
