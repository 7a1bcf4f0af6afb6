import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  quarantine,
  readRecord,
  syncDirectory,
  writeRecord,
  writeStagedRecord,
} from '#base/durable-record.ts';
import { errorCode, errorMessage } from '#base/errors.ts';
import { isFullId, type ContainerId } from '#base/ids.ts';
import { isJsonObject } from '#base/json.ts';
import type { Log } from '#base/log.ts';
import type { ContainerRecord } from '../record.ts';

/*
 * Records on disk: `<data-root>/containers/<id>/record.json`. A directory that starts with `.staged-` was
 * never acknowledged,
 * one that starts with `.removed-` is a tombstone: its container is gone for clients, boot finishes the rest.
 */

const STAGED = '.staged-';
const REMOVED = '.removed-';

export interface LoadedRecords {
  readonly records: readonly ContainerRecord[];
  /** Containers whose removal was acknowledged but not finished. */
  readonly tombstones: readonly ContainerId[];
  /** Where damaged records went. */
  readonly quarantined: readonly { readonly id: string; readonly path: string; readonly reason: string }[];
}

export class RecordStore {
  readonly #directory: string;
  readonly #quarantine: string;
  readonly #log: Log;

  constructor(dataRoot: string, log: Log) {
    this.#directory = join(dataRoot, 'containers');
    this.#quarantine = join(dataRoot, 'quarantine', 'containers');
    this.#log = log;
  }

  directoryOf(id: ContainerId): string {
    return join(this.#directory, id);
  }

  /** Two flushes: the record, and the directory that names it. After this the container exists for good. */
  async create(record: ContainerRecord): Promise<void> {
    const staged = join(this.#directory, `${STAGED}${record.id}`);
    await mkdir(this.#directory, { recursive: true, mode: 0o710 });
    await mkdir(staged, { mode: 0o710 });
    try {
      await writeStagedRecord(join(staged, 'record.json'), record);
      await rename(staged, this.directoryOf(record.id));
    } catch (error) {
      await rm(staged, { recursive: true, force: true });
      throw error;
    }
    await syncDirectory(this.#directory);
  }

  /** Two flushes. The caller holds the container's writer lock. */
  async replace(record: ContainerRecord): Promise<void> {
    await writeRecord(join(this.directoryOf(record.id), 'record.json'), record);
  }

  /**
   * After this the container never comes back. `flushed` false: boot removes it again by its auto-remove
   * flag, if need be.
   */
  async bury(id: ContainerId, options: { readonly flushed: boolean }): Promise<void> {
    await rename(this.directoryOf(id), join(this.#directory, `${REMOVED}${id}`));
    if (options.flushed) await syncDirectory(this.#directory);
  }

  /** Frees what a tombstone still holds on disk. */
  async erase(id: ContainerId): Promise<void> {
    await rm(join(this.#directory, `${REMOVED}${id}`), { recursive: true, force: true });
  }

  async load(): Promise<LoadedRecords> {
    const records: ContainerRecord[] = [];
    const tombstones: ContainerId[] = [];
    const quarantined: LoadedRecords['quarantined'][number][] = [];
    const names = await readdir(this.#directory).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) {
      if (name.startsWith(STAGED)) await rm(join(this.#directory, name), { recursive: true, force: true });
      else if (name.startsWith(REMOVED)) tombstones.push(name.slice(REMOVED.length) as ContainerId);
      else if (isFullId(name)) {
        const outcome = await this.#read(name as ContainerId);
        if ('record' in outcome) records.push(outcome.record);
        else quarantined.push(outcome);
      }
    }
    return { records, tombstones, quarantined };
  }

  async #read(id: ContainerId): Promise<{ record: ContainerRecord } | LoadedRecords['quarantined'][number]> {
    try {
      const value = await readRecord(join(this.directoryOf(id), 'record.json'));
      if (!isJsonObject(value) || value['recordVersion'] !== 1 || value['id'] !== id)
        throw new Error('not a container record of version 1');
      return { record: value as unknown as ContainerRecord };
    } catch (error) {
      const reason = errorMessage(error);
      const path = await quarantine(this.directoryOf(id), this.#quarantine, id);
      this.#log.error('a container record is damaged and was put aside; the container is lost', {
        id,
        path,
        reason,
      });
      return { id, path, reason };
    }
  }
}
