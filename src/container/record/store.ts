import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  quarantine,
  readRecord,
  syncDirectory,
  writeRecord,
  writeStagedRecord,
  encodeRecord,
} from '#base/durable-record.ts';
import { errorMessage } from '#base/errors.ts';
import { type FilePort, type Leaving, PLAIN_FILES } from '#base/file-steps.ts';
import { isFullId, type ContainerId } from '#base/ids.ts';
import { isJsonObject } from '#base/json.ts';
import type { Log } from '#base/log.ts';
import type { ContainerRecord } from '../record.ts';

/*
 * Records on disk: `<data-root>/containers/<id>/record.json`. A directory that starts with `.staged-` was
 * never acknowledged (volumes that its create may have made are named in it), one that starts with
 * `.removed-` is a tombstone: its container is gone for clients, boot finishes the rest.
 */

const STAGED = '.staged-';
const REMOVED = '.removed-';
/** In a staged directory: what its create makes before there is a record. */
const ANNOUNCED = 'announced.json';
/** A tombstone whose anonymous volumes go, too. */
const REMOVED_WITH_VOLUMES = '.removed-volumes-';

export interface BuryOptions {
  /** False: boot removes it again by its auto-remove flag, if need be. */
  readonly flushed: boolean;
  /** Anonymous volumes go, too. */
  readonly volumes: boolean;
}

export interface LoadedRecords {
  readonly records: readonly ContainerRecord[];
  /** Containers whose removal was acknowledged but not finished, or whose create was not. */
  readonly tombstones: readonly ContainerId[];
  /** Those of them whose anonymous volumes may be there still. */
  readonly unreleased: readonly Pick<ContainerRecord, 'id' | 'mounts'>[];
  /** Where damaged records went. */
  readonly quarantined: readonly { readonly id: string; readonly path: string; readonly reason: string }[];
}

export class RecordStore {
  readonly #directory: string;
  readonly #quarantine: string;
  readonly #log: Log;
  readonly #files: FilePort;

  constructor(dataRoot: string, log: Log, files: FilePort = PLAIN_FILES) {
    this.#files = files;
    this.#directory = join(dataRoot, 'containers');
    this.#quarantine = join(dataRoot, 'quarantine', 'containers');
    this.#log = log;
  }

  directoryOf(id: ContainerId): string {
    return join(this.#directory, id);
  }

  /** A create is about to make these volumes for itself: if it never ends, boot removes them. One flush. */
  async announce(id: ContainerId, mounts: ContainerRecord['mounts']): Promise<void> {
    const staged = join(this.#directory, `${STAGED}${id}`);
    await mkdir(staged, { recursive: true, mode: 0o710 });
    await writeStagedRecord(join(staged, ANNOUNCED), { recordVersion: 1, id, mounts });
  }

  /** One flush: the record, in a directory that nobody acknowledges. */
  async stage(record: ContainerRecord, isAnnounced: boolean): Promise<void> {
    const staged = join(this.#directory, `${STAGED}${record.id}`);
    const path = join(staged, 'record.json');
    try {
      await this.#files.carryOut([
        ...(isAnnounced ? [] : [{ kind: 'directory', path: staged, mode: 0o710 } as const]),
        { kind: 'file', path, content: encodeRecord(record), mode: 0o600, flush: true },
      ]);
    } catch (error) {
      if (!isAnnounced) await rm(staged, { recursive: true, force: true });
      throw error;
    }
  }

  /** One flush: the directory that names it. After this the container exists for good. */
  async publish(id: ContainerId, isAnnounced: boolean): Promise<void> {
    try {
      await this.#files.carryOut([
        { kind: 'rename', from: join(this.#directory, `${STAGED}${id}`), to: this.directoryOf(id) },
        { kind: 'flushDirectory', path: this.#directory },
      ]);
      if (isAnnounced) await rm(join(this.directoryOf(id), ANNOUNCED), { force: true });
    } catch (error) {
      // Nobody is told of it, so it must not be found at the next start.
      await rm(this.directoryOf(id), { recursive: true, force: true });
      throw error;
    }
  }

  /** Two flushes. The caller holds the container's writer lock. */
  async replace(record: ContainerRecord): Promise<void> {
    await writeRecord(join(this.directoryOf(record.id), 'record.json'), record);
  }

  /** After this the container never comes back. */
  async bury(id: ContainerId, options: BuryOptions): Promise<void> {
    const prefix = options.volumes ? REMOVED_WITH_VOLUMES : REMOVED;
    await rename(this.directoryOf(id), join(this.#directory, `${prefix}${id}`));
    if (options.flushed) await syncDirectory(this.#directory);
  }

  /** Frees what a tombstone, or a create that came to nothing, still holds on disk. */
  async erase(id: ContainerId): Promise<void> {
    const directories = [STAGED, REMOVED, REMOVED_WITH_VOLUMES].map((prefix) =>
      join(this.#directory, `${prefix}${id}`),
    );
    const files = ['record.json', ANNOUNCED, 'hosts', 'hostname', 'resolv.conf', `${id}-json.log`];
    const leaving = directories.flatMap((path): Leaving[] => [
      ...files.map((name) => ({ kind: 'file', path: join(path, name) }) as const),
      { kind: 'directory', path },
    ]);
    if (await this.#files.discard(leaving)) return;
    for (const path of directories) await rm(path, { recursive: true, force: true });
  }

  /** Before anything else is asked of it. */
  async load(): Promise<LoadedRecords> {
    const records: ContainerRecord[] = [];
    const tombstones: ContainerId[] = [];
    const unreleased: LoadedRecords['unreleased'][number][] = [];
    const quarantined: LoadedRecords['quarantined'][number][] = [];
    await mkdir(this.#directory, { recursive: true, mode: 0o710 });
    for (const name of await readdir(this.#directory)) {
      if (name.startsWith(STAGED)) {
        const id = name.slice(STAGED.length) as ContainerId;
        const announced = await this.#parse(join(this.#directory, name), id, ANNOUNCED).catch(() => null);
        if (announced === null) await rm(join(this.#directory, name), { recursive: true, force: true });
        else {
          tombstones.push(id);
          unreleased.push(announced);
        }
      } else if (name.startsWith(REMOVED_WITH_VOLUMES)) {
        const id = name.slice(REMOVED_WITH_VOLUMES.length) as ContainerId;
        tombstones.push(id);
        const record = await this.#parse(join(this.#directory, name), id).catch(() => null);
        if (record !== null) unreleased.push(record);
      } else if (name.startsWith(REMOVED)) tombstones.push(name.slice(REMOVED.length) as ContainerId);
      else if (isFullId(name)) {
        const outcome = await this.#read(name as ContainerId);
        if ('record' in outcome) records.push(outcome.record);
        else quarantined.push(outcome);
      }
    }
    return { records, tombstones, unreleased, quarantined };
  }

  async #read(id: ContainerId): Promise<{ record: ContainerRecord } | LoadedRecords['quarantined'][number]> {
    try {
      return { record: await this.#parse(this.directoryOf(id), id) };
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

  async #parse(directory: string, id: ContainerId, file = 'record.json'): Promise<ContainerRecord> {
    const value = await readRecord(join(directory, file));
    if (!isJsonObject(value) || value['recordVersion'] !== 1 || value['id'] !== id)
      throw new Error('not a container record of version 1');
    return value as unknown as ContainerRecord;
  }
}
