import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Files, Mounts } from '#host/kernel.ts';
import { FileContentStore } from './content/file-content-store.ts';
import type { ContentStore } from './content-store.ts';
import { LayerRecords, type LayerRecord } from './layer/layer-records.ts';
import { LayerStore, type LayerTrees } from './layer/layer-store.ts';
import { Tombstones } from './layer/tombstones.ts';
import { TreeThreads } from './layer/tree-threads.ts';
import { WorkerPool } from './layer/worker-pool.ts';
import { Leases } from './lease.ts';
import { OverlayLayout } from './overlay/overlay-layout.ts';
import { OverlaySnapshotter } from './overlay/overlay-snapshotter.ts';
import { OverlayTrees } from './overlay/overlay-trees.ts';
import type { Snapshotter, SnapshotterName } from './snapshotter.ts';
import { createTreeReader, type TreeReader } from './tar-tree.ts';
import { VfsSnapshotter, VfsTrees } from './vfs/vfs-snapshotter.ts';

export interface StorageOptions {
  /** Absolute path of the data root. */
  readonly root: string;
  readonly kernel: { readonly files: Files; readonly mounts: Mounts };
  readonly bootId: string;
  readonly log: Log;
  /** Default `overlay2`. */
  readonly snapshotter?: SnapshotterName;
  /** Threads that unpack layers. Default: 2. */
  readonly workers?: number;
  /** Entry module of those threads, where it does not lie beside this one. */
  readonly workerEntry?: URL;
  readonly flushDelayMs?: number;
  /** Where the root of a container can be seen while it runs; what is shown as its merged directory. */
  readonly runningRoot?: (id: ContainerId) => string;
}

export interface Storage {
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly leases: Leases;
  readonly trees: TreeReader;
  close(): Promise<void>;
}

const DEFAULT_WORKERS = 2;

/**
 * Opens everything below the data root: `content/` (blobs), `layers/<driver>/` (records), `overlay2/` or
 * `vfs/dir/` (trees), and repairs what an unclean end left.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { root, log, kernel } = options;
  const driver = options.snapshotter ?? 'overlay2';
  const directory = driver === 'overlay2' ? join(root, 'overlay2') : join(root, 'vfs', 'dir');
  await mkdir(directory, { recursive: true, mode: 0o710 });
  const content = await FileContentStore.open(join(root, 'content'));
  const tombstones = await Tombstones.open(join(directory, '.removed'), kernel.files, log);
  const records = await LayerRecords.open(join(root, 'layers', driver), log);
  const entry = options.workerEntry === undefined ? {} : { entry: options.workerEntry };
  const pool = new WorkerPool({ threads: options.workers ?? DEFAULT_WORKERS, ...entry });
  const storeWith = (trees: LayerTrees): LayerStore => {
    const delay = options.flushDelayMs === undefined ? {} : { flushDelayMs: options.flushDelayMs };
    const { bootId } = options;
    return new LayerStore({
      directory,
      records,
      trees,
      pool,
      content,
      files: kernel.files,
      bootId,
      log,
      ...delay,
    });
  };
  let snapshotter: Snapshotter;
  if (driver === 'overlay2') {
    const layout = new OverlayLayout(directory);
    const parents = (top: LayerRecord): string[] => store.chain(top.chainId).map((record) => record.cacheId);
    const trees = new OverlayTrees(layout, { tombstones, carryOut: kernel.files.carryOut }, parents);
    const store = storeWith(trees);
    snapshotter = await OverlaySnapshotter.open({
      layout,
      trees,
      store,
      tombstones,
      pool,
      kernel,
      bootId: options.bootId,
      ...(options.runningRoot !== undefined && { runningRoot: options.runningRoot }),
    });
  } else {
    const trees = new VfsTrees({ root: directory, tombstones, pool });
    snapshotter = await VfsSnapshotter.open({
      root: directory,
      trees,
      store: storeWith(trees),
      tombstones,
      pool,
      kernel,
    });
  }
  const threads = new TreeThreads();
  const close = async (): Promise<void> => {
    await threads.close();
    await snapshotter.close();
  };
  const trees = createTreeReader({ snapshotter, content, threads });
  return { content, snapshotter, leases: new Leases(), trees, close };
}
