import type { Files } from '#host/kernel.ts';
import { ADDED, CHANGED, REMOVED, sameFile, type TreeChange } from './diff-tree.ts';
import { byteText, isOpaque, isWhiteout, statOrNull } from './tree-stack.ts';
import type { StackDirectory, StackEntry, TreeStack } from './tree-stack.ts';

export interface SizedChange extends TreeChange {
  /** Of the file as it is, or was. */
  readonly sizeBytes: number;
}

function sizeOf(entry: StackEntry): number {
  return entry.stat.type === 'file' ? entry.stat.sizeBytes : 0;
}

/**
 * What leads from one joined tree to another; a directory that came or went stands for itself and for what is
 * in it, each named. Directories of layers that both have are not looked into.
 */
export function compareTrees(
  { files, stack }: { readonly files: Files; readonly stack: TreeStack },
  before: StackDirectory,
  after: StackDirectory,
): readonly SizedChange[] {
  const changes: SizedChange[] = [];
  const inodes = (directory: StackDirectory): string =>
    directory.map((fd) => String(files.stat(fd, '').inode)).join();
  const into = (directory: StackDirectory | null, entry: StackEntry | undefined): StackDirectory | null =>
    directory === null || entry?.stat.type !== 'directory' ? null : stack.openChild(directory, entry);
  const visit = (old: StackDirectory | null, now: StackDirectory | null, prefix: string): void => {
    if (old !== null && now !== null && inodes(old) === inodes(now)) return;
    const olds = new Map((old === null ? [] : stack.list(old)).map((entry) => [entry.name, entry]));
    const nows = new Map((now === null ? [] : stack.list(now)).map((entry) => [entry.name, entry]));
    for (const name of [...new Set([...olds.keys(), ...nows.keys()])].sort()) {
      const [was, is] = [olds.get(name), nows.get(name)];
      const path = prefix === '' ? name : `${prefix}/${name}`;
      if (is !== undefined && was === undefined) changes.push({ path, kind: ADDED, sizeBytes: sizeOf(is) });
      else if (is === undefined && was !== undefined)
        changes.push({ path, kind: REMOVED, sizeBytes: sizeOf(was) });
      else if (is !== undefined && was !== undefined && !sameFile(was.stat, is.stat))
        changes.push({ path, kind: CHANGED, sizeBytes: sizeOf(is) });
      const below = [into(old, was), into(now, is)] as const;
      try {
        if (below[0] !== null || below[1] !== null) visit(below[0], below[1], path);
      } finally {
        for (const directory of below) if (directory !== null) stack.close(directory);
      }
    }
  };
  visit(before, after, '');
  return changes;
}

export interface LayerWaste {
  readonly files: number;
  readonly sizeBytes: number;
  /** Of files that a layer above removed or replaced. */
  readonly wastedBytes: number;
  /** The largest of those. */
  readonly wastedFiles: readonly { readonly path: string; readonly sizeBytes: number }[];
}

interface Part {
  readonly fd: number;
  readonly layer: number;
}

interface Tally {
  files: number;
  sizeBytes: number;
  wastedBytes: number;
  readonly wasted: { path: string; sizeBytes: number }[];
}

interface Found {
  readonly part: Part;
  readonly entry: StackEntry;
}

/** What the layers above say about a name. */
interface Decided {
  /** The directories of that name that are seen as one, top first. */
  readonly merged: Found[];
  /** What lower layers have of that name is hidden. */
  isClosed: boolean;
}

const WASTED_NAMED = 10;
const WASTED_KEPT = 1000;

/** What each of an image's trees (`overlay` form, top first) holds, and what of it nobody sees. */
export class WasteCount {
  readonly #files: Files;
  readonly #stack: TreeStack;
  readonly #tallies: Tally[];

  constructor(files: Files, of: { readonly stack: TreeStack; readonly layers: number }) {
    this.#files = files;
    this.#stack = of.stack;
    this.#tallies = Array.from({ length: of.layers }, () => ({
      files: 0,
      sizeBytes: 0,
      wastedBytes: 0,
      wasted: [],
    }));
  }

  count(root: StackDirectory): readonly LayerWaste[] {
    this.#directory(
      root.map((fd, layer) => ({ fd, layer })),
      '',
    );
    return this.#tallies.map(({ wasted, ...tally }) => ({
      ...tally,
      wastedFiles: wasted.sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, WASTED_NAMED),
    }));
  }

  #directory(parts: readonly Part[], prefix: string): void {
    const decided = new Map<string, Decided>();
    for (const part of parts) this.#part(part, { prefix, decided });
    for (const [name, { merged }] of decided)
      this.#merged(merged, prefix === '' ? name : `${prefix}/${name}`);
  }

  /** Only what is looked into is open: a directory may have thousands in it. */
  #merged(merged: readonly Found[], path: string): void {
    const parts: Part[] = [];
    try {
      for (const { part, entry } of merged) {
        const [fd] = this.#stack.openChild([part.fd], entry) ?? [];
        if (fd !== undefined) parts.push({ fd, layer: part.layer });
      }
      if (parts.length > 0) this.#directory(parts, path);
    } finally {
      this.#stack.close(parts.map(({ fd }) => fd));
    }
  }

  #part(part: Part, at: { readonly prefix: string; readonly decided: Map<string, Decided> }): void {
    for (const bytes of this.#stack.names(part.fd)) {
      const stat = statOrNull(this.#files, part.fd, bytes);
      if (stat === null) continue;
      const name = byteText(bytes);
      const entry: StackEntry = { name, bytes, stat, directory: part.fd, part: 0 };
      const above = at.decided.get(name);
      if (above?.isClosed === true || (above !== undefined && stat.type !== 'directory')) {
        this.#wasted(part, entry, at.prefix === '' ? name : `${at.prefix}/${name}`);
        above.isClosed = true;
        continue;
      }
      const here = above ?? { merged: [], isClosed: false };
      at.decided.set(name, here);
      if (stat.type === 'directory') this.#open(part, entry, here);
      else {
        here.isClosed = true;
        if (!isWhiteout(stat)) this.#tally(part.layer, sizeOf(entry));
      }
    }
  }

  #open(part: Part, entry: StackEntry, here: Decided): void {
    const opened = this.#stack.openChild([part.fd], entry);
    if (opened === null) return;
    here.merged.push({ part, entry });
    here.isClosed = isOpaque(this.#files, opened[0] ?? -1);
    this.#stack.close(opened);
  }

  #tally(layer: number, sizeBytes: number): void {
    const tally = this.#tallies[layer];
    if (tally === undefined) return;
    tally.files++;
    tally.sizeBytes += sizeBytes;
  }

  /** A file, or all in a directory. */
  #wasted(part: Part, entry: StackEntry, path: string): void {
    if (entry.stat.type !== 'directory') {
      if (isWhiteout(entry.stat)) return;
      const sizeBytes = sizeOf(entry);
      this.#tally(part.layer, sizeBytes);
      const tally = this.#tallies[part.layer];
      if (tally === undefined || sizeBytes === 0) return;
      tally.wastedBytes += sizeBytes;
      tally.wasted.push({ path, sizeBytes });
      if (tally.wasted.length < WASTED_KEPT) return;
      tally.wasted.sort((a, b) => b.sizeBytes - a.sizeBytes).splice(WASTED_NAMED);
      return;
    }
    const opened = this.#stack.openChild([part.fd], entry);
    if (opened === null) return;
    try {
      for (const below of this.#stack.names(opened[0] ?? -1)) {
        const found = statOrNull(this.#files, opened[0] ?? -1, below);
        if (found === null) continue;
        const name = byteText(below);
        const inside = { fd: opened[0] ?? -1, layer: part.layer };
        const next = { name, bytes: below, stat: found, directory: inside.fd, part: 0 };
        this.#wasted(inside, next, `${path}/${name}`);
      }
    } finally {
      this.#stack.close(opened);
    }
  }
}
