import { createHash } from 'node:crypto';
import { EngineError, errorMessage } from '#base/errors.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { Files } from '#host/kernel.ts';
import { chainIdOf, type ChainId } from '#oci/chain-id.ts';
import type { ContentStore } from '../content-store.ts';
import type { Layer, LayerCommit, LayerUnpack, UnpackedLayer } from '../snapshotter.ts';
import type { WhiteoutMode } from './apply-layer.ts';
import type { LayerRecord, LayerRecords } from './layer-records.ts';
import type { WorkerPool } from './worker-pool.ts';

/** Where a snapshotter wants a layer written. */
export interface StagedTree {
  readonly target: string;
  readonly lowers: readonly string[];
  readonly whiteouts: WhiteoutMode;
}

/** How a snapshotter keeps trees of layers. */
export interface LayerTrees {
  /** A fresh place, invisible until published. */
  stage(cacheId: string, parent: LayerRecord | null): Promise<StagedTree>;
  /** Gives the staged tree its name; one that had it goes away. */
  publish(cacheId: string): Promise<void>;
  discard(cacheId: string): Promise<void>;
  exists(cacheId: string): Promise<boolean>;
  remove(cacheId: string): Promise<void>;
}

export interface LayerStoreOptions {
  /** Absolute path on the file system the trees are on. */
  readonly directory: string;
  readonly records: LayerRecords;
  readonly trees: LayerTrees;
  readonly pool: WorkerPool;
  readonly content: ContentStore;
  readonly files: Files;
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

  commit(request: LayerCommit): Promise<Layer> {
    const chainId = chainIdOf(request.parent, request.diffId);
    return this.#mutex.run(chainId, async () => {
      const existing = this.get(chainId);
      const { records, trees } = this.#options;
      if (existing !== undefined) {
        const whole = request.replace !== true && (await trees.exists(existing.cacheId));
        if (whole && existing.blob === request.blob) return existing;
        if (whole) return this.#keepWith(existing, request);
      }
      const parent = request.parent === null ? null : this.require(request.parent);
      const cacheId = existing?.cacheId ?? cacheIdOf(chainId);
      const usage = await this.#unpack(cacheId, parent, request);
      const record: LayerRecord = {
        recordVersion: 1,
        chainId,
        diffId: request.diffId,
        parent: request.parent,
        cacheId,
        blob: request.blob,
        ...usage,
        bootId: this.#options.bootId,
      };
      await records.put(record);
      this.#scheduleFlush();
      return record;
    });
  }

  unpack(request: LayerUnpack): Promise<UnpackedLayer> {
    if (!('blob' in request.bytes) || request.diffId === null)
      return Promise.reject(new EngineError('unavailable', 'layers are unpacked from blobs only'));
    const { blob } = request.bytes;
    const usage = { sizeBytes: 0, inodes: 0 };
    return Promise.resolve({
      diffId: request.diffId,
      blobDigest: blob,
      usage,
      discard: () => Promise.resolve(),
    });
  }

  commitUnpacked({ parent, unpacked }: { parent: ChainId | null; unpacked: UnpackedLayer }): Promise<Layer> {
    return this.commit({ parent, diffId: unpacked.diffId, blob: unpacked.blobDigest });
  }

  /** The same layer came in another compression: the old blob may be gone, the new one is there. */
  async #keepWith(existing: LayerRecord, request: LayerCommit): Promise<Layer> {
    if (await this.#options.content.has(existing.blob)) return existing;
    const record = { ...existing, blob: request.blob };
    await this.#options.records.put(record);
    return record;
  }

  async #unpack(
    cacheId: string,
    parent: LayerRecord | null,
    from: Pick<LayerCommit, 'blob' | 'diffId'>,
  ): Promise<{ sizeBytes: number; inodes: number }> {
    const { trees, pool, content } = this.#options;
    const staged = await trees.stage(cacheId, parent);
    try {
      const usage = await pool.run({
        kind: 'apply',
        blobPath: content.pathOf(from.blob),
        diffId: from.diffId,
        ...staged,
      });
      await trees.publish(cacheId);
      return usage;
    } catch (error) {
      await trees.discard(cacheId);
      throw error;
    }
  }

  /** The caller has checked that no container stands on it. Errors: `conflict` while a layer does. */
  remove(chainId: ChainId): Promise<void> {
    return this.#mutex.run(chainId, async () => {
      const { records, trees } = this.#options;
      const record = this.get(chainId);
      if (record === undefined) return;
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
    const { records, trees, bootId, log } = this.#options;
    const done = new Set<ChainId>();
    const visit = async (record: LayerRecord): Promise<void> => {
      if (done.has(record.chainId)) return;
      done.add(record.chainId);
      const parent = record.parent === null ? null : (records.get(record.parent) ?? undefined);
      if (parent) await visit(parent);
      const parentLost = record.parent !== null && records.get(record.parent) === undefined;
      const trusted = record.bootId === null || record.bootId === bootId;
      if (!parentLost && trusted && (await trees.exists(record.cacheId))) return;
      try {
        if (parentLost) throw new Error('the layer below is lost');
        const usage = await this.#unpack(record.cacheId, parent ?? null, record);
        await records.put({ ...record, ...usage, bootId });
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
