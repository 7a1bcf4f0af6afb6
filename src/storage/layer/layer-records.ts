import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { quarantine, readRecord, syncDirectory, writeStagedRecord } from '#base/durable-record.ts';
import { errorMessage } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import type { Log } from '#base/log.ts';
import type { ChainId } from '#oci/chain-id.ts';
import { isDigest, type Digest } from '#oci/digest.ts';

/** What is kept about an unpacked layer: `layers/<hex of the chainID>.json`. */
export interface LayerRecord {
  readonly recordVersion: 1;
  readonly chainId: ChainId;
  readonly diffId: Digest;
  readonly parent: ChainId | null;
  /** Name of its directory in the snapshotter. */
  readonly cacheId: string;
  readonly blob: Digest;
  readonly sizeBytes: number;
  readonly inodes: number;
  /**
   * The boot in which it was unpacked, until the file system was synced: another boot must not trust the
   * tree.
   */
  readonly bootId: string | null;
}

const CACHE_ID = /^[0-9a-f]{64}$/;

function parseLayerRecord(value: JsonValue): LayerRecord | null {
  if (!isJsonObject(value)) return null;
  const { chainId, diffId, parent, cacheId, blob, sizeBytes, inodes, bootId } = value;
  if (!isDigest(chainId) || !isDigest(diffId) || !isDigest(blob)) return null;
  if (parent !== null && !isDigest(parent)) return null;
  if (typeof cacheId !== 'string' || !CACHE_ID.test(cacheId)) return null;
  if (typeof sizeBytes !== 'number' || typeof inodes !== 'number') return null;
  if (bootId !== null && typeof bootId !== 'string') return null;
  return {
    recordVersion: 1,
    chainId: chainId as string as ChainId,
    diffId,
    parent: parent as string | null as ChainId | null,
    cacheId,
    blob,
    sizeBytes,
    inodes,
    bootId,
  };
}

/**
 * The records of all layers, in memory and on disk. Names of new and removed records are durable after
 * `sync`.
 */
export class LayerRecords {
  readonly #directory: string;
  readonly #byChain = new Map<ChainId, LayerRecord>();
  #unsynced = false;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** A damaged record is set aside and costs its own layer only. */
  static async open(directory: string, log: Log): Promise<LayerRecords> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const records = new LayerRecords(directory);
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      if (name.endsWith('.tmp')) await rm(path, { force: true });
      if (!name.endsWith('.json')) continue;
      try {
        const record = parseLayerRecord(await readRecord(path));
        if (record === null || `${record.chainId.slice(7)}.json` !== name)
          throw new Error('it is not a layer record');
        records.#byChain.set(record.chainId, record);
      } catch (error) {
        const to = await quarantine(path, join(directory, 'quarantine'), name);
        log.error('a layer record is damaged and was set aside', { path, to, error: errorMessage(error) });
      }
    }
    return records;
  }

  get(chainId: ChainId): LayerRecord | undefined {
    return this.#byChain.get(chainId);
  }

  all(): readonly LayerRecord[] {
    return [...this.#byChain.values()];
  }

  childOf(chainId: ChainId): LayerRecord | undefined {
    for (const record of this.#byChain.values()) if (record.parent === chainId) return record;
    return undefined;
  }

  /** One flush; the name is durable after `sync`. */
  async put(record: LayerRecord): Promise<void> {
    const path = this.#path(record.chainId);
    await writeStagedRecord(`${path}.tmp`, record);
    await rename(`${path}.tmp`, path);
    this.#unsynced = true;
    this.#byChain.set(record.chainId, record);
  }

  async remove(chainId: ChainId): Promise<void> {
    this.#byChain.delete(chainId);
    await rm(this.#path(chainId), { force: true });
    this.#unsynced = true;
  }

  /** Also waits for a flush that somebody else began: it may be the one that covers the caller's record. */
  sync(): Promise<void> {
    if (!this.#unsynced) return this.#syncing;
    this.#unsynced = false;
    const before = this.#syncing.catch(() => undefined);
    this.#syncing = before.then(() => syncDirectory(this.#directory));
    return this.#syncing;
  }

  #path(chainId: ChainId): string {
    return join(this.#directory, `${chainId.slice('sha256:'.length)}.json`);
  }
}
