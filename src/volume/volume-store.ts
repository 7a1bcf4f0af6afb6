import { chown, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nowNanos, rfc3339Nano } from '#base/clock.ts';
import { quarantine, readRecord, syncDirectory, writeStagedRecord } from '#base/durable-record.ts';
import { errorMessage } from '#base/errors.ts';
import type { Owner } from '#base/id-mapping.ts';
import { randomId } from '#base/ids.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import type { Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';

/** What is known of one volume. */
export interface VolumeRecord {
  readonly recordVersion: 1;
  readonly name: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
}

const STAGED = '.staged-';
const REMOVED = '.removed-';
const RECORD = 'volume.json';

function stringMap(value: JsonValue | undefined): Record<string, string> | null {
  if (!isJsonObject(value)) return null;
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}

function decode(value: JsonValue, name: string): VolumeRecord | null {
  if (!isJsonObject(value) || value['name'] !== name || typeof value['createdAt'] !== 'string') return null;
  return {
    recordVersion: 1,
    name,
    createdAt: value['createdAt'],
    labels: stringMap(value['labels']),
    options: stringMap(value['options']),
  };
}

export interface VolumeStoreOptions {
  readonly dataRoot: string;
  readonly files: Kernel['files'];
  readonly log: Log;
  /** Of new volumes. */
  readonly owner: Owner;
}

/** Volumes on the disk: `volumes/<name>/{_data,volume.json}`. A volume appears and goes by one rename. */
export class VolumeStore {
  readonly #directory: string;
  readonly #quarantine: string;
  readonly #files: Kernel['files'];
  readonly #log: Log;
  readonly #owner: Owner;

  constructor(options: VolumeStoreOptions) {
    this.#directory = join(options.dataRoot, 'volumes');
    this.#quarantine = join(options.dataRoot, 'quarantine');
    this.#files = options.files;
    this.#log = options.log;
    this.#owner = options.owner;
  }

  dataPath(name: string): string {
    return join(this.#directory, name, '_data');
  }

  async load(): Promise<readonly VolumeRecord[]> {
    await mkdir(this.#directory, { recursive: true, mode: 0o701 });
    const records: VolumeRecord[] = [];
    for (const name of await readdir(this.#directory)) {
      if (name.startsWith(STAGED) || name.startsWith(REMOVED)) {
        await this.#removeTree(name);
        continue;
      }
      try {
        const record = decode(await readRecord(join(this.#directory, name, RECORD)), name);
        if (record === null) throw new Error('not a record of this volume');
        records.push(record);
      } catch (error) {
        // Only the record goes: somebody's data stay where they are and are found again under the same name.
        const path = join(this.#directory, name, RECORD);
        const where = await quarantine(path, this.#quarantine, `volume-${name}.json`).catch(() => 'nowhere');
        this.#log.error('the record of a volume is damaged; its data are kept', {
          volume: name,
          where,
          error: errorMessage(error),
        });
        records.push({
          recordVersion: 1,
          name,
          createdAt: rfc3339Nano(nowNanos()),
          labels: null,
          options: null,
        });
      }
    }
    return records;
  }

  /** Two flushes. */
  async add(record: VolumeRecord): Promise<void> {
    const staged = join(this.#directory, `${STAGED}${randomId().slice(0, 16)}`);
    try {
      await mkdir(join(staged, '_data'), { recursive: true, mode: 0o755 });
      await chown(join(staged, '_data'), this.#owner.uid, this.#owner.gid);
      await writeStagedRecord(join(staged, RECORD), record);
      await rename(staged, join(this.#directory, record.name));
    } catch (error) {
      await rm(staged, { recursive: true, force: true });
      throw error;
    }
    await syncDirectory(this.#directory);
  }

  /** One flush; the data go after it, and whoever waits does not wait for them. */
  async remove(name: string): Promise<void> {
    const tombstone = `${REMOVED}${randomId().slice(0, 16)}`;
    await rename(join(this.#directory, name), join(this.#directory, tombstone));
    await syncDirectory(this.#directory);
    await this.#removeTree(tombstone);
  }

  async #removeTree(name: string): Promise<void> {
    const root = this.#files.openRoot(this.#directory);
    try {
      await this.#files.slow.removeTree(root, name);
    } catch (error) {
      this.#log.warn('a removed volume leaves files behind until the next start', {
        directory: name,
        error: errorMessage(error),
      });
    } finally {
      this.#files.close(root);
    }
  }
}
