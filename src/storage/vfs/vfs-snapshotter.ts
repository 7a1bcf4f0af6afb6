import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { isFullId, type ContainerId } from '#base/ids.ts';
import type { Files, IdShift, Mounts } from '#host/kernel.ts';
import type { ChainId } from '#oci/chain-id.ts';
import { writeInitLayer } from '../layer/init-layer.ts';
import type { LayerRecord } from '../layer/layer-records.ts';
import type { LayerStore } from '../layer/layer-store.ts';
import type { LayerTrees, StagedTree } from '../layer/layer-trees.ts';
import type { LayerUnpacker } from '../layer/layer-unpacker.ts';
import type { Tombstones } from '../layer/tombstones.ts';
import type { WorkerPool } from '../layer/worker-pool.ts';
import { rootfsHandle } from '../rootfs-handle.ts';
import type {
  ContainerTrees,
  GraphDriver,
  Layer,
  LayerCommit,
  LayerUnpack,
  RootfsHandle,
  Snapshotter,
  UnpackedLayer,
  Usage,
} from '../snapshotter.ts';

export interface VfsTreesOptions {
  /** `vfs/dir` below the data root. */
  readonly root: string;
  readonly tombstones: Tombstones;
  readonly pool: WorkerPool;
}

/** Every layer is a whole tree of its own: a copy of its parent's with the archive's changes. */
export class VfsTrees implements LayerTrees {
  readonly standAlone = false;
  readonly #options: VfsTreesOptions;

  constructor(options: VfsTreesOptions) {
    this.#options = options;
  }

  directory(name: string): string {
    return join(this.#options.root, name);
  }

  #staged(name: string): string {
    return join(this.#options.root, `.staged-${name}`);
  }

  async stage(name: string, parent: Pick<LayerRecord, 'cacheId'> | null): Promise<StagedTree> {
    const target = this.#staged(name);
    await this.#options.tombstones.bury(target);
    await mkdir(target, { mode: 0o755 });
    if (parent !== null)
      await this.#options.pool.run({ kind: 'copy', source: this.directory(parent.cacheId), target });
    return { target, whiteouts: 'merge' };
  }

  target(name: string): string {
    return this.#staged(name);
  }

  /** A tree is whole by itself. */
  below(): readonly string[] {
    return [];
  }

  async publish(name: string, { cacheId }: { readonly cacheId: string }): Promise<void> {
    await this.#options.tombstones.bury(this.directory(cacheId));
    await rename(this.#staged(name), this.directory(cacheId));
  }

  async discard(name: string): Promise<void> {
    await this.#options.tombstones.bury(this.#staged(name));
  }

  async exists(cacheId: string): Promise<boolean> {
    return stat(this.directory(cacheId)).then(
      (found) => found.isDirectory(),
      () => false,
    );
  }

  async remove(cacheId: string): Promise<void> {
    await this.#options.tombstones.bury(this.directory(cacheId));
  }
}

export interface VfsDeps {
  readonly root: string;
  readonly trees: VfsTrees;
  readonly store: LayerStore;
  readonly unpacker: LayerUnpacker;
  readonly tombstones: Tombstones;
  readonly pool: WorkerPool;
  readonly kernel: { readonly files: Files; readonly mounts: Mounts };
}

/**
 * `vfs`: whole copies, for file systems on which overlayfs does not work. Slow and large, but without any
 * mount option.
 */
export class VfsSnapshotter implements Snapshotter {
  readonly name = 'vfs';
  readonly #deps: VfsDeps;
  readonly #writables = new Set<ContainerId>();

  private constructor(deps: VfsDeps) {
    this.#deps = deps;
  }

  static async open(deps: VfsDeps): Promise<VfsSnapshotter> {
    const snapshotter = new VfsSnapshotter(deps);
    await deps.store.recover();
    const layers = new Set(deps.store.all().map((record) => record.cacheId));
    for (const name of await readdir(deps.root)) {
      if (name.startsWith('.staged-')) await deps.tombstones.bury(join(deps.root, name));
      else if (isFullId(name) && !layers.has(name)) snapshotter.#writables.add(name as ContainerId);
    }
    return snapshotter;
  }

  commitLayer(request: LayerCommit): Promise<Layer> {
    return this.#deps.store.commit(request);
  }

  unpack(request: LayerUnpack): Promise<UnpackedLayer> {
    return this.#deps.unpacker.unpack(request);
  }

  commitUnpacked(of: { readonly parent: ChainId | null; readonly unpacked: UnpackedLayer }): Promise<Layer> {
    return this.#deps.store.commitUnpacked(of);
  }

  layer(chainId: ChainId): Layer | null {
    return this.#deps.store.get(chainId) ?? null;
  }

  hasLayer(chainId: ChainId): boolean {
    return this.#deps.store.get(chainId) !== undefined;
  }

  /** A container's tree is a copy: it stands on no layer. */
  removeLayer(chainId: ChainId): Promise<void> {
    return this.#deps.store.remove(chainId);
  }

  async layerUsage(chainId: ChainId): Promise<Usage> {
    const { sizeBytes, inodes } = this.#deps.store.require(chainId);
    return { sizeBytes, inodes };
  }

  layers(): readonly Layer[] {
    return this.#deps.store.all();
  }

  sync(): Promise<void> {
    return this.#deps.store.sync();
  }

  async createWritable(id: ContainerId, parent: ChainId | null): Promise<void> {
    const { trees, store, kernel } = this.#deps;
    if (this.#writables.has(id))
      throw new EngineError('alreadyExists', `container ${id} has a writable layer already`);
    const { target } = await trees.stage(id, parent === null ? null : store.require(parent));
    const fd = kernel.files.openRoot(target);
    try {
      writeInitLayer(kernel.files, { image: fd, target: fd });
    } finally {
      kernel.files.close(fd);
    }
    await trees.publish(id, { cacheId: id });
    this.#writables.add(id);
  }

  hasWritable(id: ContainerId): boolean {
    return this.#writables.has(id);
  }

  /** Nothing stands on anything else here. */
  disown(): void {}

  async removeWritable(id: ContainerId): Promise<void> {
    if (!isFullId(id)) return;
    await this.#deps.trees.remove(id);
    this.#writables.delete(id);
  }

  async writableUsage(id: ContainerId): Promise<Usage> {
    this.#require(id);
    return this.#deps.pool.run({ kind: 'usage', source: this.#deps.trees.directory(id) });
  }

  writables(): readonly ContainerId[] {
    return [...this.#writables];
  }

  async rootfs(id: ContainerId, shift?: IdShift): Promise<RootfsHandle> {
    this.#require(id);
    const { files, mounts } = this.#deps.kernel;
    const seenBy = shift === undefined ? {} : { userns: shift.userns };
    const opened = mounts.cloneTree(this.#deps.trees.directory(id), seenBy);
    return rootfsHandle(opened, { isUntouched: false, close: (fd) => files.slow.close(fd) });
  }

  layerTrees(top: ChainId | null): { readonly kind: 'copy'; readonly paths: readonly string[] } {
    const { trees, store } = this.#deps;
    return { kind: 'copy', paths: top === null ? [] : [trees.directory(store.require(top).cacheId)] };
  }

  async trees(id: ContainerId, parent: ChainId | null): Promise<ContainerTrees> {
    this.#require(id);
    const { trees, store } = this.#deps;
    const lowers = parent === null ? [] : [trees.directory(store.require(parent).cacheId)];
    return { kind: 'copy', upper: trees.directory(id), lowers };
  }

  /** The reference has no data for this driver either. */
  graphDriverData(): GraphDriver {
    return { name: this.name, data: {} };
  }

  idle(): Promise<void> {
    return this.#deps.tombstones.idle();
  }

  async close(): Promise<void> {
    await this.#deps.store.close();
    await this.#deps.tombstones.idle();
    await this.#deps.pool.close();
  }

  #require(id: ContainerId): void {
    if (!this.#writables.has(id)) throw new EngineError('notFound', `container ${id} has no writable layer`);
  }
}
