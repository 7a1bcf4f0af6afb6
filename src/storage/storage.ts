import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { ContainerId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { Files, Kernel, Mounts } from '#host/kernel.ts';
import type { Digest } from '#oci/digest.ts';
import { FileContentStore } from './content/file-content-store.ts';
import { FileIntakes } from './content/file-intakes.ts';
import type { ContentStore } from './content-store.ts';
import type { Intakes } from './intake.ts';
import { createLayerArchives, type LayerArchives } from './layer-archives.ts';
import { LayerRecords, type LayerRecord } from './layer/layer-records.ts';
import { LayerStore } from './layer/layer-store.ts';
import type { LayerTrees } from './layer/layer-trees.ts';
import { LayerUnpacker } from './layer/layer-unpacker.ts';
import { Tombstones } from './layer/tombstones.ts';
import { TreeThreads } from './layer/tree-threads.ts';
import { Urgency } from './layer/urgency.ts';
import { WorkerPool } from './layer/worker-pool.ts';
import { Leases } from './lease.ts';
import { OverlayLayout } from './overlay/overlay-layout.ts';
import { OverlaySnapshotter } from './overlay/overlay-snapshotter.ts';
import { OverlayTrees } from './overlay/overlay-trees.ts';
import { createPlainOf } from './plain-archive.ts';
import type { Snapshotter, SnapshotterName } from './snapshotter.ts';
import type { PlainOf } from './tar-reader.ts';
import { createTreeReader, type TreeReader } from './tar-tree.ts';
import { VfsSnapshotter, VfsTrees } from './vfs/vfs-snapshotter.ts';

export interface StorageOptions {
  /** Absolute path of the data root. */
  readonly root: string;
  readonly kernel: {
    readonly files: Files;
    readonly mounts: Mounts;
    readonly threads: Pick<Kernel['threads'], 'mainFirst'>;
  };
  readonly bootId: string;
  readonly log: Log;
  /** Default `overlay2`. */
  readonly snapshotter?: SnapshotterName;
  /** Threads that unpack layers. Default: one per processor, two or three. */
  readonly workers?: number;
  /** Entry module of those threads, where it does not lie beside this one. */
  readonly workerEntry?: URL;
  readonly flushDelayMs?: number;
  /** Where the root of a container can be seen while it runs; what is shown as its merged directory. */
  readonly runningRoot?: (id: ContainerId) => string;
}

export interface Storage {
  readonly content: ContentStore;
  readonly intakes: Intakes;
  readonly snapshotter: Snapshotter;
  readonly leases: Leases;
  readonly trees: TreeReader;
  readonly archives: LayerArchives;
  /** For archives that come from somewhere: what decompresses them, in bounded memory. */
  readonly plainOf: PlainOf;
  /**
   * Layers will come: has the calling thread go first as while they are unpacked, until its answer is called,
   * or for as long as `Urgency` lets it without news.
   */
  hurry(): () => void;
  /** At a quiet time: see `WorkerPool.rehearse`. */
  rehearse(): void;
  close(): Promise<void>;
}

const MOST_WORKERS = 3;

/** A layer that is unpacked keeps a thread of ours and some of node's busy. */
function defaultWorkers(): number {
  return Math.min(MOST_WORKERS, Math.max(2, availableParallelism()));
}

type MainFirst = () => () => void;

/** With one processor alone it would be containers' and everybody else's. */
function mainFirstOn({ kernel }: StorageOptions): MainFirst {
  return availableParallelism() > 1 ? () => kernel.threads.mainFirst() : () => () => undefined;
}

function poolOf({ workers, workerEntry }: StorageOptions, mainFirst: MainFirst): WorkerPool {
  return new WorkerPool({
    mainFirst,
    threads: workers ?? defaultWorkers(),
    ...(workerEntry !== undefined && { entry: workerEntry }),
  });
}

async function openBlobs(
  root: string,
  { files, pool }: { readonly files: Pick<Files, 'startWriteBack' | 'writeAt'>; readonly pool: WorkerPool },
): Promise<{ readonly content: FileContentStore; readonly intakes: Intakes }> {
  const content = await FileContentStore.open(join(root, 'content'));
  const intakes = await FileIntakes.open({
    partial: join(root, 'content', 'partial'),
    temporary: content.temporary,
    files,
    adopt: (path, digest) => content.adopt(path, digest),
    digestOf: async (path) => (await pool.run({ kind: 'digest', path })) as Digest,
  });
  return { content, intakes };
}

/**
 * Opens everything below the data root: `content/` (blobs), `layers/<driver>/` (records), `overlay2/` or
 * `vfs/dir/` (trees), and repairs what an unclean end left. Partial blobs stay until somebody expires them.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { root, log, kernel, bootId } = options;
  const { files } = kernel;
  const driver = options.snapshotter ?? 'overlay2';
  const directory = driver === 'overlay2' ? join(root, 'overlay2') : join(root, 'vfs', 'dir');
  await mkdir(directory, { recursive: true, mode: 0o710 });
  const leases = new Leases();
  const mainFirst = mainFirstOn(options);
  const pool = poolOf(options, mainFirst);
  const { content, intakes } = await openBlobs(root, { files, pool });
  const tombstones = await Tombstones.open(join(directory, '.removed'), files, log);
  const records = await LayerRecords.open(join(root, 'layers', driver), log);
  const storeWith = (trees: LayerTrees): { store: LayerStore; unpacker: LayerUnpacker } => {
    const delay = options.flushDelayMs === undefined ? {} : { flushDelayMs: options.flushDelayMs };
    const unpacker = new LayerUnpacker({ trees, pool, content });
    const given = { directory, records, trees, unpacker, content, files, leases, bootId, log };
    return { unpacker, store: new LayerStore({ ...given, ...delay }) };
  };
  const shared = { tombstones, pool, kernel };
  let snapshotter: Snapshotter;
  if (driver === 'overlay2') {
    const layout = new OverlayLayout(directory);
    const parents = (top: LayerRecord): string[] =>
      stores.store.chain(top.chainId).map((record) => record.cacheId);
    const trees = new OverlayTrees(layout, { tombstones, carryOut: files.carryOut }, parents);
    const stores = storeWith(trees);
    const { runningRoot } = options;
    const seen = runningRoot === undefined ? {} : { runningRoot };
    snapshotter = await OverlaySnapshotter.open({ ...shared, ...stores, ...seen, layout, trees, bootId });
  } else {
    const trees = new VfsTrees({ root: directory, tombstones, pool });
    snapshotter = await VfsSnapshotter.open({ ...shared, ...storeWith(trees), root: directory, trees });
  }
  const threads = new TreeThreads();
  const close = async (): Promise<void> => {
    await threads.close();
    await snapshotter.close();
  };
  const trees = createTreeReader({ snapshotter, content, threads });
  const archives = createLayerArchives({ content, pool });
  const plainOf = createPlainOf({ intakes, pool });
  const hurry = (): (() => void) => {
    const urgency = new Urgency({ mainFirst });
    urgency.gotOn();
    return () => urgency.end();
  };
  const rehearse = (): void => pool.rehearse();
  return { content, intakes, snapshotter, leases, trees, archives, plainOf, hurry, rehearse, close };
}
