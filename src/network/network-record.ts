import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nowNanos, rfc3339Nano } from '#base/clock.ts';
import { quarantine, readRecord, writeRecord } from '#base/durable-record.ts';
import { errorMessage, isEngineError } from '#base/errors.ts';
import { isFullId, randomId } from '#base/ids.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import type { Log } from '#base/log.ts';

export interface NetworkIdentity {
  readonly id: string;
  readonly created: string;
}

/** What the data root remembers of its three networks. */
export interface NetworkRecord {
  readonly recordVersion: 1;
  readonly bridge: NetworkIdentity;
  readonly host: NetworkIdentity;
  readonly none: NetworkIdentity;
  /** The bridge's address and prefix last time, so that it gets the same after a reboot. */
  readonly bridgeAddress: string | null;
}

function identity(value: JsonValue | undefined): NetworkIdentity | null {
  if (!isJsonObject(value)) return null;
  const { id, created } = value;
  return typeof id === 'string' && isFullId(id) && typeof created === 'string' ? { id, created } : null;
}

function decode(value: JsonValue): NetworkRecord | null {
  if (!isJsonObject(value)) return null;
  const [bridge, host, none] = [identity(value['bridge']), identity(value['host']), identity(value['none'])];
  if (bridge === null || host === null || none === null) return null;
  const address = value['bridgeAddress'];
  return {
    recordVersion: 1,
    bridge,
    host,
    none,
    bridgeAddress: typeof address === 'string' ? address : null,
  };
}

const fresh = (): NetworkIdentity => ({ id: randomId(), created: rfc3339Nano(nowNanos()) });

export interface NetworkRecords {
  read(): Promise<NetworkRecord>;
  /** Writes it if it differs from what was read. */
  keep(record: NetworkRecord): Promise<void>;
}

export function networkRecords(dataRoot: string, log: Log): NetworkRecords {
  const directory = join(dataRoot, 'network');
  const path = join(directory, 'networks.json');
  let stored = '';
  return {
    async read() {
      await mkdir(directory, { recursive: true, mode: 0o750 });
      try {
        const value = await readRecord(path);
        const record = decode(value);
        if (record !== null) {
          stored = JSON.stringify(record);
          return record;
        }
        throw new Error('not a record of networks');
      } catch (error) {
        if (!isEngineError(error, 'notFound')) {
          // The ids change, which clients notice at most as a new network id: no reason not to start.
          const where = await quarantine(path, join(dataRoot, 'quarantine'), 'networks.json');
          log.error('the record of the networks is damaged and set aside', {
            where,
            error: errorMessage(error),
          });
        }
        return { recordVersion: 1, bridge: fresh(), host: fresh(), none: fresh(), bridgeAddress: null };
      }
    },
    async keep(record) {
      const text = JSON.stringify(record);
      if (text === stored) return;
      await writeRecord(path, record);
      stored = text;
    },
  };
}
