import { randomBytes } from 'node:crypto';
import { EngineError, errorCode } from '#base/errors.ts';
import type { Digest } from '#oci/digest.ts';
import type { ContentStore } from '../content-store.ts';
import type { LayerUnpack, UnpackedLayer, Usage } from '../snapshotter.ts';
import type { UnpackJob, UnpackResult } from './apply-job.ts';
import type { LayerRecord } from './layer-records.ts';
import type { LayerTrees } from './layer-trees.ts';
import { THREAD_LOST, type WorkerPool } from './worker-pool.ts';

export interface UnpackerOptions {
  readonly trees: LayerTrees;
  readonly pool: WorkerPool;
  readonly content: Pick<ContentStore, 'pathOf'>;
}

/** What is known of an unpacked layer beyond what its owner sees. */
interface Waiting {
  /** Of the staged tree; null: nothing was written, it is unpacked when it is placed. */
  readonly staged: string | null;
  readonly result: UnpackResult;
}

/** A thread may end under a layer by another one's fault. */
const TRIES_AFTER_LOSS = 1;
/** A source that begins anew so often has something else in mind. */
const RESTARTS = 16;

/** Unpacks layers that stand on nothing yet, and places them on what is below. */
export class LayerUnpacker {
  readonly #options: UnpackerOptions;
  readonly #waiting = new WeakMap<UnpackedLayer, Waiting>();

  constructor(options: UnpackerOptions) {
    this.#options = options;
  }

  /** See `Snapshotter.unpack`. */
  async unpack(request: LayerUnpack): Promise<UnpackedLayer> {
    const { trees } = this.#options;
    for (let losses = 0, restarts = 0; ; ) {
      const staged = trees.standAlone ? `u-${randomBytes(12).toString('hex')}` : null;
      try {
        return this.#unpacked(request, { staged, result: await this.#run(request, staged) });
      } catch (error) {
        if (staged !== null) await trees.discard(staged);
        const code = errorCode(error);
        const again =
          (code === 'RESTARTED' && restarts++ < RESTARTS) ||
          (code === THREAD_LOST && losses++ < TRIES_AFTER_LOSS);
        if (!again) throw error;
      }
    }
  }

  async #run(request: LayerUnpack, staged: string | null): Promise<UnpackResult> {
    const { trees, pool } = this.#options;
    const { signal, onProgress, bytes } = request;
    // What a registry sends has a digest, and what does not come from there is given up.
    const isSent = 'growing' in bytes && bytes.digest === null;
    const tree = staged === null ? null : await trees.stage(staged, null);
    const job: UnpackJob = {
      kind: 'unpack',
      ...this.#source(request),
      diffId: request.diffId,
      target: tree?.target ?? null,
      whiteouts: tree?.whiteouts ?? 'merge',
    };
    return pool.run(job, {
      ...(signal !== undefined && { signal }),
      ...(onProgress !== undefined && { onRead: onProgress }),
      isSent,
    });
  }

  #source({ bytes }: LayerUnpack): Pick<UnpackJob, 'path' | 'progress' | 'blobDigest'> {
    // A blob of the content store was verified when it came.
    if ('blob' in bytes)
      return { path: this.#options.content.pathOf(bytes.blob), progress: null, blobDigest: 'trust' };
    const { growing, digest } = bytes;
    return { ...growing, blobDigest: digest === null ? 'ask' : { expected: digest } };
  }

  #unpacked({ bytes }: LayerUnpack, waiting: Waiting): UnpackedLayer {
    const { result } = waiting;
    const { sizeBytes, inodes } = result;
    const layer: UnpackedLayer = {
      diffId: result.diffId as Digest,
      blobDigest: 'blob' in bytes ? bytes.blob : (result.blobDigest as Digest),
      usage: { sizeBytes, inodes },
      discard: async () => {
        const mine = this.#waiting.get(layer);
        this.#waiting.delete(layer);
        if (mine !== undefined && mine.staged !== null) await this.#options.trees.discard(mine.staged);
      },
    };
    this.#waiting.set(layer, waiting);
    return layer;
  }

  /** Gives it its name on its parent. It is used up, unless this fails. */
  async place(
    layer: UnpackedLayer,
    on: { readonly cacheId: string; readonly parent: LayerRecord | null },
  ): Promise<Usage> {
    const waiting = this.#waiting.get(layer);
    if (waiting === undefined) throw new EngineError('internal', 'the layer was placed or discarded before');
    const { trees } = this.#options;
    if (waiting.staged === null) return this.#unpackOnto(layer, on);
    await this.#settle(waiting, on.parent);
    await trees.publish(waiting.staged, on);
    this.#waiting.delete(layer);
    return layer.usage;
  }

  async #settle({ staged, result }: Waiting, parent: LayerRecord | null): Promise<void> {
    const { trees, pool } = this.#options;
    const root = !result.sawRoot;
    if (staged === null || parent === null || (!root && result.implied.length === 0)) return;
    const target = trees.target(staged);
    await pool.run({ kind: 'settle', target, lowers: trees.below(parent), implied: result.implied, root });
  }

  /** Where trees begin as copies there is nothing to place before the parent is known. */
  async #unpackOnto(
    layer: UnpackedLayer,
    on: { readonly cacheId: string; readonly parent: LayerRecord | null },
  ): Promise<Usage> {
    const { trees, pool, content } = this.#options;
    const staged = `u-${randomBytes(12).toString('hex')}`;
    try {
      const { sizeBytes, inodes } = await pool.run({
        kind: 'unpack',
        path: content.pathOf(layer.blobDigest),
        progress: null,
        blobDigest: 'trust',
        diffId: layer.diffId,
        ...(await trees.stage(staged, on.parent)),
      });
      await trees.publish(staged, on);
      this.#waiting.delete(layer);
      return { sizeBytes, inodes };
    } catch (error) {
      await trees.discard(staged);
      throw error;
    }
  }
}
