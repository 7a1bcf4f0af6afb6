/** Who may name paths beside the trees of containers and images, and why. For tree-calls.ts. */

/** Modules that tree code may use although they, or what they use, make calls by path. */
export const ENGINE_FILES: ReadonlyMap<string, string> = new Map([
  ['src/host/real.ts', 'the kernel of a worker: its calls on trees take a descriptor and stay below it'],
  ['src/storage/layer/layer-records.ts', 'records of layers lie beside the trees; only the engine writes'],
  ['src/storage/layer/tombstones.ts', 'renames whole trees away; they are emptied by descriptor'],
]);

export interface NamedTrees {
  /** As `name of module`. */
  readonly calls: readonly string[];
  readonly why: string;
}

function of(module: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `${name} of ${module}`);
}

const PROMISES = 'node:fs/promises';

/** Tree code with calls by path that are right: exactly these. */
export const NAMED_TREES: ReadonlyMap<string, NamedTrees> = new Map([
  [
    'src/storage/layer-archives.ts',
    {
      calls: of(PROMISES, ['open']),
      why: 'an archive in the content store: a file that the engine wrote, named by its digest',
    },
  ],
  [
    'src/storage/overlay/overlay-snapshotter.ts',
    {
      calls: of(PROMISES, ['mkdir', 'readdir', 'readlink', 'rename', 'rm', 'stat', 'symlink']),
      why: 'directories of layers and their links, by names that the engine chose; no path leads into `diff`',
    },
  ],
  [
    'src/storage/overlay/overlay-trees.ts',
    {
      calls: of(PROMISES, ['rename', 'rm', 'stat', 'symlink']),
      why: 'moves and names whole directories of layers; of a tree it looks at `diff` itself, never into it',
    },
  ],
  [
    'src/storage/vfs/vfs-snapshotter.ts',
    {
      calls: of(PROMISES, ['mkdir', 'readdir', 'rename', 'stat']),
      why: 'makes, moves and lists whole trees; their roots lie in a directory of the engine',
    },
  ],
]);
