import { mkdir, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, errorCode } from '#base/errors.ts';
import { isFullId, type ContainerId } from '#base/ids.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Files, IdShift, Mounts } from '#host/kernel.ts';
import type { ChainId } from '#oci/chain-id.ts';
import { writeInitLayer } from '../layer/init-layer.ts';
import type { LayerRecord } from '../layer/layer-records.ts';
import type { LayerStore } from '../layer/layer-store.ts';
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
import { shortLink, type OverlayLayout } from './overlay-layout.ts';
import type { OverlayTrees, RootAttributes } from './overlay-trees.ts';

export interface OverlayDeps {
  readonly layout: OverlayLayout;
  readonly trees: OverlayTrees;
  readonly store: LayerStore;
  readonly unpacker: LayerUnpacker;
  readonly tombstones: Tombstones;
  readonly pool: WorkerPool;
  readonly kernel: { readonly files: Files; readonly mounts: Mounts };
  readonly bootId: string;
  readonly runningRoot?: (id: ContainerId) => string;
}

/** The parent of a container without layers. */
const NO_LAYERS = 'scratch';

/**
 * `overlay2`: layers as directories, joined by overlayfs. Mounts are detached descriptors, so nothing of
 * this stands in the host's mount table. Which layer a container stands on is the target of the symbolic
 * link `<id>/parent`: a link's target is metadata, so the file system keeps it with the directory although
 * nothing is flushed here.
 */
export class OverlaySnapshotter implements Snapshotter {
  readonly name = 'overlay2';
  readonly #deps: OverlayDeps;
  readonly #initMutex = new KeyedMutex();
  /** What their roots look like, by name. */
  readonly #initReady = new Map<string, RootAttributes>();
  readonly #parents = new Map<ContainerId, string>();
  /** Made by this process, and given to nobody yet. */
  readonly #untouched = new Set<ContainerId>();

  private constructor(deps: OverlayDeps) {
    this.#deps = deps;
  }

  /** Repairs and sweeps what an earlier run left. */
  static async open(deps: OverlayDeps): Promise<OverlaySnapshotter> {
    const snapshotter = new OverlaySnapshotter(deps);
    await mkdir(deps.layout.links, { recursive: true, mode: 0o710 });
    await snapshotter.#sweepStaged();
    await deps.store.recover();
    await snapshotter.#sweepInits();
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

  async removeLayer(chainId: ChainId): Promise<void> {
    const record = this.#deps.store.get(chainId);
    if (record === undefined) return;
    const link = shortLink(record.cacheId);
    for (const [id, parent] of this.#parents) {
      if (parent === link) throw new EngineError('conflict', `layer ${chainId} is used by container ${id}`);
    }
    this.#initReady.delete(`${record.cacheId}-init`);
    await this.#deps.store.remove(chainId);
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
    const { layout, trees, store, kernel, runningRoot } = this.#deps;
    const chain = store.chain(parent);
    const init = await this.#ensureInit(chain);
    const path = layout.directory(id);
    const top = chain[0]?.cacheId;
    const parentLink = top === undefined ? NO_LAYERS : shortLink(top);
    this.#parents.set(id, parentLink);
    try {
      const lower = [init.name, ...chain.map((record) => record.cacheId)];
      await kernel.files.carryOut([
        ...trees.stepsOf({ path, name: id, lower, root: init.root }),
        { kind: 'symlink', path: join(path, 'parent'), target: parentLink },
        ...(runningRoot === undefined
          ? []
          : [{ kind: 'symlink' as const, path: layout.merged(id), target: runningRoot(id) }]),
        trees.linkStep(id),
      ]);
      this.#untouched.add(id);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') await this.removeWritable(id);
      throw error;
    }
  }

  hasWritable(id: ContainerId): boolean {
    return this.#parents.has(id);
  }

  disown(id: ContainerId): void {
    this.#parents.delete(id);
    this.#untouched.delete(id);
  }

  async removeWritable(id: ContainerId): Promise<void> {
    const { layout, tombstones, kernel } = this.#deps;
    if (!isFullId(id)) return;
    this.disown(id);
    const path = layout.directory(id);
    const directory = (...names: string[]) => ({ kind: 'directory', path: join(path, ...names) }) as const;
    const file = (name: string) => ({ kind: 'file', path: join(path, name) }) as const;
    // Most have written nothing.
    const isGone = await kernel.files.discard([
      { kind: 'file', path: layout.link(id) },
      ...['link', 'lower', 'parent', 'merged'].map(file),
      directory('work', 'work'),
      directory('work'),
      directory('diff'),
      directory(),
    ]);
    if (!isGone) await tombstones.bury(path);
  }

  async writableUsage(id: ContainerId): Promise<Usage> {
    this.#require(id);
    return this.#deps.pool.run({ kind: 'usage', source: this.#deps.layout.diff(id) });
  }

  writables(): readonly ContainerId[] {
    return [...this.#parents.keys()];
  }

  async rootfs(id: ContainerId, shift?: IdShift): Promise<RootfsHandle> {
    const { layout, kernel } = this.#deps;
    const chain = this.#chainOf(id);
    const init = await this.#ensureInit(chain);
    const isUntouched = this.#untouched.delete(id);
    const opened = kernel.mounts.overlay({
      lower: [init.name, ...chain.map((record) => record.cacheId)].map((name) => layout.diff(name)),
      upper: layout.diff(id),
      work: layout.work(id),
      ...(shift !== undefined && { shift }),
    });
    // The last close of an overlay writes back its whole upper file system: never on the main thread.
    return rootfsHandle(opened, { isUntouched, close: (fd) => kernel.files.slow.close(fd) });
  }

  layerTrees(top: ChainId | null): { readonly kind: 'overlay'; readonly paths: readonly string[] } {
    const { layout, store } = this.#deps;
    return { kind: 'overlay', paths: store.chain(top).map((record) => layout.diff(record.cacheId)) };
  }

  async trees(id: ContainerId): Promise<ContainerTrees> {
    const { layout } = this.#deps;
    const chain = this.#chainOf(id);
    const init = await this.#ensureInit(chain);
    const lowers = [init.name, ...chain.map((record) => record.cacheId)].map((name) => layout.diff(name));
    return { kind: 'overlay', upper: layout.diff(id), lowers };
  }

  graphDriverData(of: { readonly container: ContainerId } | { readonly layer: ChainId }): GraphDriver {
    const { layout, store } = this.#deps;
    let top: string;
    let lower: string[];
    if ('container' in of) {
      const names = this.#chainOf(of.container).map((record) => record.cacheId);
      top = of.container;
      lower = [`${names[0] ?? NO_LAYERS}-init`, ...names];
    } else {
      const [first, ...rest] = store.chain(of.layer).map((record) => record.cacheId);
      top = first ?? NO_LAYERS;
      lower = rest;
    }
    const lowerDir = lower.map((name) => layout.diff(name)).join(':');
    return {
      name: this.name,
      data: {
        ...('container' in of ? { ID: of.container } : {}),
        ...(lowerDir === '' ? {} : { LowerDir: lowerDir }),
        MergedDir: layout.merged(top),
        UpperDir: layout.diff(top),
        WorkDir: layout.work(top),
      },
    };
  }

  idle(): Promise<void> {
    return this.#deps.tombstones.idle();
  }

  async close(): Promise<void> {
    await this.#deps.store.close();
    await this.#deps.tombstones.idle();
    await this.#deps.pool.close();
  }

  #require(id: ContainerId): string {
    const parent = this.#parents.get(id);
    if (parent === undefined) throw new EngineError('notFound', `container ${id} has no writable layer`);
    return parent;
  }

  #chainOf(id: ContainerId): LayerRecord[] {
    const parent = this.#require(id);
    if (parent === NO_LAYERS) return [];
    const top = this.#deps.store.all().find((record) => shortLink(record.cacheId) === parent);
    if (top === undefined) throw new EngineError('dataLoss', `the image layers of container ${id} are lost`);
    return this.#deps.store.chain(top.chainId);
  }

  /** The layer of mount points on top of an image, made once per image and boot. Gives its name and root. */
  async #ensureInit(chain: readonly LayerRecord[]): Promise<{ name: string; root: RootAttributes }> {
    const name = `${chain[0]?.cacheId ?? NO_LAYERS}-init`;
    const known = this.#initReady.get(name);
    if (known !== undefined) return { name, root: known };
    return this.#initMutex.run(name, async () => {
      if (!this.#initReady.has(name)) await this.#makeInit(name, chain);
      const root = await this.#deps.trees.rootOf(name);
      this.#initReady.set(name, root);
      return { name, root };
    });
  }

  async #makeInit(name: string, chain: readonly LayerRecord[]): Promise<void> {
    const { layout, trees, tombstones, bootId } = this.#deps;
    const path = layout.directory(name);
    // The link says in which boot the layer was made; its files are not flushed.
    if ((await readlink(join(path, 'boot')).catch(() => '')) === bootId) return;
    const staged = layout.staged(name);
    await tombstones.bury(staged);
    const lower = chain.map((record) => record.cacheId);
    await trees.make({ path: staged, name, lower, root: await trees.rootOf(lower[0]) });
    await this.#writeInit(join(staged, 'diff'), lower);
    await symlink(bootId, join(staged, 'boot'));
    await tombstones.bury(path);
    await rename(staged, path);
    await trees.linkTo(name);
  }

  async #writeInit(target: string, lower: readonly string[]): Promise<void> {
    const { layout, kernel } = this.#deps;
    const { files, mounts } = kernel;
    const targetFd = files.openRoot(target);
    const paths = lower.map((each) => layout.diff(each));
    const [only] = paths;
    let image = targetFd;
    try {
      // overlayfs wants two directories at least.
      if (paths.length > 1) image = await mounts.overlay({ lower: paths });
      else if (only !== undefined) image = files.openRoot(only);
      writeInitLayer(files, { image, target: targetFd });
    } finally {
      if (image !== targetFd) await files.slow.close(image);
      files.close(targetFd);
    }
  }

  async #sweepStaged(): Promise<void> {
    const { layout, tombstones, store } = this.#deps;
    const layers = new Set(store.all().map((record) => record.cacheId));
    for (const name of await readdir(layout.root)) {
      if (name.startsWith('.staged-')) await tombstones.bury(join(layout.root, name));
      else if (isFullId(name) && !layers.has(name)) {
        // Without a parent it is a layer that was never recorded, or a container that was never made whole.
        const parent = await readlink(join(layout.root, name, 'parent')).catch(() => null);
        if (parent === null) await tombstones.bury(join(layout.root, name));
        else this.#parents.set(name as ContainerId, parent);
      }
    }
  }

  async #sweepInits(): Promise<void> {
    const { layout, tombstones, store } = this.#deps;
    const layers = new Set(store.all().map((record) => record.cacheId));
    for (const name of await readdir(layout.root)) {
      const of = name.endsWith('-init') ? name.slice(0, -'-init'.length) : null;
      if (of !== null && of !== NO_LAYERS && !layers.has(of)) await tombstones.bury(join(layout.root, name));
    }
    for (const link of await readdir(layout.links)) {
      const path = join(layout.links, link);
      if ((await stat(path).catch(() => null)) === null) await rm(path, { force: true });
    }
  }
}
