import { createHash } from 'node:crypto';
import { EngineError, errorMessage } from '#base/errors.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { Files } from '#host/kernel.ts';
import { chainIdOf, type ChainId } from '#oci/chain-id.ts';
import type { ContentStore } from '../content-store.ts';
import type { Leases } from '../lease.ts';
import type { Digest } from '#oci/digest.ts';
import type { Layer, LayerCommit, UnpackedLayer } from '../snapshotter.ts';
import type { LayerRecord, LayerRecords } from './layer-records.ts';
import type { LayerTrees } from './layer-trees.ts';
import type { LayerUnpacker } from './layer-unpacker.ts';

export interface LayerStoreOptions {
  /** Absolute path on the file system the trees are on. */
  readonly directory: string;
  readonly records: LayerRecords;
  readonly trees: LayerTrees;
  readonly unpacker: LayerUnpacker;
  readonly content: ContentStore;
  readonly files: Files;
  readonly leases: Pick<Leases, 'isHeld'>;
  readonly bootId: string;
  readonly log: Log;
  /** How long after a commit the trees are flushed. */
  readonly flushDelayMs?: number;
}

const FLUSH_DELAY_MS = 5000;

/** Derived, so that containers find a layer again whose record was lost and which was unpacked anew. */
function cacheIdOf(chainId: ChainId): string {
  return createHash('sha256').update(`layer ${chainId}`).digest('hex');
}

/**
 * Unpacks layers and knows which ones there are, for any snapshotter. Trees are not flushed one by one: a
 * record carries its boot's id until a background sync of the file system; after another boot such a layer
 * is unpacked again from its blob.
 */
export class LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #mutex = new KeyedMutex();
  /** Commits that are under way. */
  readonly #coming = new Map<ChainId, Promise<Layer>>();
  #flushTimer: NodeJS.Timeout | null = null;
  #flushing: Promise<void> = Promise.resolve();

  constructor(options: LayerStoreOptions) {
    this.#options = options;
  }

  get(chainId: ChainId): LayerRecord | undefined {
    return this.#options.records.get(chainId);
  }

  /** Errors: `notFound`. */
  require(chainId: ChainId): LayerRecord {
    const record = this.get(chainId);
    if (record === undefined) throw new EngineError('notFound', `layer ${chainId} does not exist`);
    return record;
  }

  /** From the given layer down to its base. */
  chain(top: ChainId | null): LayerRecord[] {
    const result: LayerRecord[] = [];
    for (let id = top; id !== null; ) {
      const record = this.require(id);
      result.push(record);
      id = record.parent;
    }
    return result;
  }

  all(): readonly LayerRecord[] {
    return this.#options.records.all();
  }

  /** The layer below may still be on its way, by a call before this one. */
  async commit(request: LayerCommit): Promise<Layer> {
    const { parent, diffId, signal } = request;
    const chainId = chainIdOf(parent, diffId);
    const committing = this.#mutex.run(chainId, async () => {
      const existing = request.replace === true ? null : await this.#existing(chainId, request.blob);
      if (existing !== null) return existing;
      const below = parent === null ? null : this.#coming.get(parent);
      const bytes = { blob: request.blob };
      const unpacked = await this.#options.unpacker.unpack({
        bytes,
        diffId,
        ...(signal !== undefined && { signal }),
      });
      // Its own caller hears of its failure; here the parent is missing then.
      await below?.catch(() => undefined);
      return this.#placeOrDiscard(parent, unpacked);
    });
    this.#coming.set(chainId, committing);
    try {
      return await committing;
    } finally {
      if (this.#coming.get(chainId) === committing) this.#coming.delete(chainId);
    }
  }

  commitUnpacked(of: { readonly parent: ChainId | null; readonly unpacked: UnpackedLayer }): Promise<Layer> {
    const { parent, unpacked } = of;
    const chainId = chainIdOf(parent, unpacked.diffId);
    return this.#mutex.run(chainId, async () => {
      const existing = await this.#existing(chainId, unpacked.blobDigest);
      if (existing === null) return this.#place(parent, unpacked);
      await unpacked.discard();
      return existing;
    });
  }

  /** A layer whose tree is whole, with a blob that is there. */
  async #existing(chainId: ChainId, blob: Digest): Promise<Layer | null> {
    const { trees, content, records } = this.#options;
    const existing = this.get(chainId);
    if (existing === undefined || !(await trees.exists(existing.cacheId))) return null;
    // The same layer came in another compression: the old blob may be gone, the new one is there.
    if (existing.blob === blob || (await content.has(existing.blob))) return existing;
    const record = { ...existing, blob };
    await records.put(record);
    return record;
  }

  async #placeOrDiscard(parent: ChainId | null, unpacked: UnpackedLayer): Promise<LayerRecord> {
    try {
      return await this.#place(parent, unpacked);
    } catch (error) {
      await unpacked.discard();
      throw error;
    }
  }

  async #place(parent: ChainId | null, unpacked: UnpackedLayer): Promise<LayerRecord> {
    const { records, unpacker, bootId } = this.#options;
    const { diffId, blobDigest: blob } = unpacked;
    const chainId = chainIdOf(parent, diffId);
    const cacheId = this.get(chainId)?.cacheId ?? cacheIdOf(chainId);
    const usage = await unpacker.place(unpacked, {
      cacheId,
      parent: parent === null ? null : this.require(parent),
    });
    const record: LayerRecord = {
      recordVersion: 1,
      chainId,
      diffId,
      parent,
      cacheId,
      blob,
      ...usage,
      bootId,
    };
    await records.put(record);
    this.#scheduleFlush();
    return record;
  }

  /**
   * The caller has checked that no container stands on it. Errors: `conflict` while a layer does, or while a
   * lease holds it.
   */
  remove(chainId: ChainId): Promise<void> {
    return this.#mutex.run(chainId, async () => {
      const { records, trees, leases } = this.#options;
      const record = this.get(chainId);
      if (record === undefined) return;
      // From here to the record's end nothing else runs: who holds it later does not find it any more.
      if (leases.isHeld(chainId)) throw new EngineError('conflict', `layer ${chainId} is in use`);
      const child = records.childOf(chainId);
      if (child !== undefined)
        throw new EngineError('conflict', `layer ${chainId} is used by layer ${child.chainId}`);
      await records.remove(chainId);
      await trees.remove(record.cacheId);
    });
  }

  sync(): Promise<void> {
    return this.#options.records.sync();
  }

  /**
   * At start: unpacks again what an unclean boot may have spoiled; what cannot be repaired is dropped with
   * all above it.
   */
  async recover(): Promise<void> {
    const { records, trees, unpacker, bootId, log } = this.#options;
    const done = new Set<ChainId>();
    const visit = async (record: LayerRecord): Promise<void> => {
      if (done.has(record.chainId)) return;
      done.add(record.chainId);
      const parent = record.parent === null ? undefined : records.get(record.parent);
      if (parent !== undefined) await visit(parent);
      const parentLost = record.parent !== null && records.get(record.parent) === undefined;
      const trusted = record.bootId === null || record.bootId === bootId;
      if (!parentLost && trusted && (await trees.exists(record.cacheId))) return;
      try {
        if (parentLost) throw new Error('the layer below is lost');
        const { diffId, blob } = record;
        const unpacked = await unpacker.unpack({ bytes: { blob }, diffId });
        await this.#placeOrDiscard(record.parent, unpacked);
        log.info('a layer was unpacked again', { layer: record.chainId });
      } catch (error) {
        log.error('a layer is lost', { layer: record.chainId, error: errorMessage(error) });
        await records.remove(record.chainId);
        await trees.remove(record.cacheId);
      }
    };
    for (const record of records.all()) await visit(record);
    await records.sync();
    if (records.all().some((record) => record.bootId !== null)) this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushTimer !== null) return;
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = null;
      void this.flush();
    }, this.#options.flushDelayMs ?? FLUSH_DELAY_MS).unref();
  }

  /** Writes the trees back and marks the layers that are safe from now on. Never rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing
      .then(() => this.#flushNow())
      .catch((error: unknown) => {
        this.#options.log.warn('layers could not be flushed', { error: errorMessage(error) });
      });
    return this.#flushing;
  }

  async #flushNow(): Promise<void> {
    const { records, files, directory } = this.#options;
    const unmarked = records.all().filter((record) => record.bootId !== null);
    if (unmarked.length === 0) return;
    const root = files.openRoot(directory);
    let fd: number | null = null;
    try {
      fd = files.open(root, '.', { directory: true });
      await files.slow.syncFileSystem(fd);
    } finally {
      if (fd !== null) files.close(fd);
      files.close(root);
    }
    for (const record of unmarked) {
      await this.#mutex.run(record.chainId, async () => {
        // Unpacked again meanwhile: that tree is not flushed yet.
        if (records.get(record.chainId) === record) await records.put({ ...record, bootId: null });
      });
    }
    await records.sync();
  }

  async close(): Promise<void> {
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#flushTimer = null;
    await this.flush();
  }
}
