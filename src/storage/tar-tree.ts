import type { ContainerId } from '#base/ids.ts';
import type { Blob, ContentStore } from './content-store.ts';
import type { TreeJob } from './layer/tree-job.ts';
import type { TreeThreads } from './layer/tree-threads.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Lease } from './lease.ts';
import type { Snapshotter } from './snapshotter.ts';

/** Which container, and on which layers it stands. */
export interface TreeOwner {
  readonly id: ContainerId;
  readonly parent: ChainId | null;
}

/**
 * Reads the trees of containers, running or not, on threads of their own and by descriptors only. What a
 * container changes meanwhile is seen or not; nothing it does leads out of its tree.
 */
export interface TreeReader {
  /**
   * The whole tree as an archive, made as fast as it is taken. Errors before the first chunk: `notFound`.
   * Leaving the loop ends the work.
   */
  archive(owner: TreeOwner): AsyncGenerator<Buffer>;
  /** The changes since the image: `[{"Path":"/a","Kind":1}]` as JSON text (0 changed, 1 added, 2 removed). */
  changes(owner: TreeOwner): AsyncGenerator<Buffer>;
  /** How the files of `after` differ from those of `before` (top layers), as `changes` has it, with sizes. */
  compare(before: ChainId | null, after: ChainId | null): AsyncGenerator<Buffer>;
  /** What the layers of an image hold, base first; null where the snapshotter keeps whole trees only. */
  contents(top: ChainId | null): Promise<readonly LayerContent[] | null>;
  /**
   * The changes as a layer's archive in the content store, not compressed: its digest is the diffID.
   * `excluded` are paths of the container: what is below them is no change, nor are directories that only
   * lead there.
   */
  layer(
    owner: TreeOwner,
    options: { readonly excluded: readonly string[]; readonly lease?: Lease },
  ): Promise<Blob>;
}

/** Of one layer, base first. */
export interface LayerContent {
  readonly files: number;
  readonly sizeBytes: number;
  /** In files that a layer above removes or replaces. */
  readonly wastedBytes: number;
  readonly wastedFiles: readonly { readonly path: string; readonly sizeBytes: number }[];
}

export interface TreeReaderDeps {
  readonly snapshotter: Snapshotter;
  readonly content: ContentStore;
  readonly threads: TreeThreads;
}

export function createTreeReader({ snapshotter, content, threads }: TreeReaderDeps): TreeReader {
  const start = async function* (owner: TreeOwner, kind: 'archive' | 'changes'): AsyncGenerator<Buffer> {
    const trees = await snapshotter.trees(owner.id, owner.parent);
    yield* threads.stream({ kind, trees } satisfies TreeJob);
  };
  return {
    archive: (owner) => start(owner, 'archive'),
    changes: (owner) => start(owner, 'changes'),
    compare: (before, after) =>
      threads.stream({
        kind: 'compare',
        before: snapshotter.layerTrees(before).paths,
        after: snapshotter.layerTrees(after).paths,
      }),
    contents: async (top) => {
      const { kind, paths } = snapshotter.layerTrees(top);
      if (kind === 'copy') return null;
      const chunks: Buffer[] = [];
      for await (const chunk of threads.stream({ kind: 'waste', layers: paths })) chunks.push(chunk);
      // Written by our own thread.
      return (JSON.parse(Buffer.concat(chunks).toString()) as LayerContent[]).reverse();
    },
    layer: async (owner, { excluded, lease }) => {
      const trees = await snapshotter.trees(owner.id, owner.parent);
      return content.ingestFile((path) => threads.layer({ kind: 'layer', trees, excluded, path }), lease);
    },
  };
}
