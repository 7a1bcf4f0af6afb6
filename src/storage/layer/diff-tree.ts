import type { Files, FileStat } from '#host/kernel.ts';
import { isInitStub } from './init-layer.ts';
import {
  byteText,
  isOpaque,
  isWhiteout,
  statOrNull,
  type StackDirectory,
  type StackEntry,
  type TreeStack,
} from './tree-stack.ts';
import type { TarTreeWriter } from './write-tar.ts';

/** What a container's own tree is, beside the trees it stands on. */
export interface TreePair {
  readonly stack: TreeStack;
  /** Descriptor of the root of what the container wrote; `copy`: of its whole tree. */
  readonly upper: number;
  readonly lowers: StackDirectory;
  /** `overlay`: only changes, with whiteouts. `copy`: everything, what is missing was removed. */
  readonly kind: 'overlay' | 'copy';
}

/** As the API numbers them. */
export const CHANGED = 0;
export const ADDED = 1;
export const REMOVED = 2;

export interface TreeChange {
  /** A byte string without a slash at its start. */
  readonly path: string;
  readonly kind: typeof CHANGED | typeof ADDED | typeof REMOVED;
}

interface Level {
  /** What the container has here. */
  readonly upper: number;
  readonly path: string;
  /** What was here before; null: nothing. */
  readonly lower: StackDirectory | null;
}

const CAPABILITY = 'security.capability';

/** Times with no part of a second come from archives that keep none. */
function sameTime(a: FileStat['mtime'], b: FileStat['mtime']): boolean {
  if (a.seconds !== b.seconds) return false;
  return a.nanoseconds === b.nanoseconds || a.nanoseconds === 0 || b.nanoseconds === 0;
}

function sameAttributes(a: FileStat, b: FileStat): boolean {
  if (a.type !== b.type || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  return a.rdev.major === b.rdev.major && a.rdev.minor === b.rdev.minor;
}

export function sameFile(a: FileStat, b: FileStat): boolean {
  if (!sameAttributes(a, b)) return false;
  return a.type === 'directory' || (a.sizeBytes === b.sizeBytes && sameTime(a.mtime, b.mtime));
}

/** The changes of a container, a directory before what is in it, names in the order of their bytes. */
export class TreeDiff {
  readonly #files: Files;
  readonly #pair: TreePair;
  readonly #changes: TreeChange[] = [];

  constructor(files: Files, pair: TreePair) {
    this.#files = files;
    this.#pair = pair;
  }

  changes(): readonly TreeChange[] {
    const { upper, lowers } = this.#pair;
    this.#level({ upper, path: '', lower: lowers });
    return this.#changes;
  }

  #level(level: Level): void {
    const { stack, kind } = this.#pair;
    const present = new Set<string>();
    const showsAll = kind === 'copy' || (level.path !== '' && isOpaque(this.#files, level.upper));
    const removed = showsAll && level.lower !== null ? stack.list(level.lower) : [];
    for (const bytes of stack.names(level.upper)) {
      const stat = statOrNull(this.#files, level.upper, bytes);
      if (stat === null) continue;
      const name = byteText(bytes);
      if (kind === 'overlay' && isWhiteout(stat)) {
        if (level.lower !== null && !showsAll && stack.find(level.lower, bytes) !== null)
          this.#note(level, name, REMOVED);
        continue;
      }
      present.add(name);
      this.#entry(level, { name, bytes, stat, directory: level.upper, part: 0 });
    }
    for (const { name } of removed) if (!present.has(name)) this.#note(level, name, REMOVED);
  }

  #note(level: Level, name: string, kind: TreeChange['kind']): void {
    this.#changes.push({ path: level.path === '' ? name : `${level.path}/${name}`, kind });
  }

  #entry(level: Level, entry: StackEntry): void {
    const { stack, kind } = this.#pair;
    const { stat, name } = entry;
    const path = level.path === '' ? name : `${level.path}/${name}`;
    const before = level.lower === null ? null : stack.find(level.lower, entry.bytes);
    if (before === null && kind === 'copy' && isInitStub(path, stat)) {
      // Directories of mount points may have been filled by the container.
      if (stat.type === 'directory') this.#below(level, entry, null);
      return;
    }
    const at = this.#changes.length;
    if (before === null) this.#changes.push({ path, kind: ADDED });
    else if (!this.#isSame(before, entry)) this.#changes.push({ path, kind: CHANGED });
    const isListed = this.#changes.length > at;
    if (stat.type !== 'directory') return;
    this.#below(level, entry, before);
    // A directory with changes in it is one.
    if (!isListed && this.#changes.length > at) this.#changes.splice(at, 0, { path, kind: CHANGED });
  }

  #isSame(before: StackEntry, entry: StackEntry): boolean {
    if (!sameFile(before.stat, entry.stat)) return false;
    if (entry.stat.type !== 'file') return true;
    const capability = ({ directory, bytes }: StackEntry): string =>
      this.#files.getXattr(directory, bytes, CAPABILITY)?.toString('hex') ?? '';
    return capability(before) === capability(entry);
  }

  #below(level: Level, entry: StackEntry, before: StackEntry | null): void {
    const { stack } = this.#pair;
    const opened = stack.openChild([level.upper], entry);
    const [upper] = opened ?? [];
    if (opened === null || upper === undefined) return;
    const wasDirectory = before?.stat.type === 'directory' && level.lower !== null;
    const lower = wasDirectory ? stack.openChild(level.lower, before) : null;
    try {
      this.#level({ upper, path: level.path === '' ? entry.name : `${level.path}/${entry.name}`, lower });
    } finally {
      if (lower !== null) stack.close(lower);
      stack.close(opened);
    }
  }
}

/** Paths that are not the container's, as byte strings, and the directories that lead there. */
interface Excluded {
  readonly paths: ReadonlySet<string>;
  readonly ways: ReadonlySet<string>;
}

function excludedOf(pair: TreePair, given: readonly string[]): Excluded {
  const { stack, upper, lowers, kind } = pair;
  const whole = kind === 'overlay' ? [upper, ...lowers] : [upper];
  const paths = new Set<string>();
  const ways = new Set<string>();
  for (const path of given) {
    const resolved = stack.resolve(whole, Buffer.from(path).toString('latin1'));
    if (resolved === '') continue;
    paths.add(resolved);
    for (let at = resolved.lastIndexOf('/'); at > 0; at = resolved.lastIndexOf('/', at - 1))
      ways.add(resolved.slice(0, at));
  }
  return { paths, ways };
}

/** Writes what a container changed as a layer's archive. */
export class LayerTar {
  readonly #files: Files;
  readonly #pair: TreePair;
  readonly #excluded: Excluded;
  readonly #writer: TarTreeWriter;

  constructor(
    files: Files,
    of: { readonly pair: TreePair; readonly excluded: readonly string[]; readonly writer: TarTreeWriter },
  ) {
    this.#files = files;
    this.#pair = of.pair;
    this.#writer = of.writer;
    this.#excluded = excludedOf(of.pair, of.excluded);
  }

  write(): void {
    const { upper, kind } = this.#pair;
    if (kind === 'overlay') this.#upperLevel(upper, '');
    else this.#copied(new TreeDiff(this.#files, this.#pair).changes());
    this.#writer.finish();
  }

  /** The tree of changes is the layer already; only its whiteouts are written another way. */
  #upperLevel(directory: number, prefix: string): void {
    const { stack } = this.#pair;
    for (const bytes of stack.names(directory)) {
      const name = byteText(bytes);
      const path = prefix === '' ? name : `${prefix}/${name}`;
      const stat = statOrNull(this.#files, directory, bytes);
      if (stat === null || this.#excluded.paths.has(path)) continue;
      if (isWhiteout(stat)) this.#writer.whiteout(path, stat);
      else if (stat.type !== 'directory') this.#writer.add({ directory, bytes, path }, stat);
      else this.#upperDirectory({ name, bytes, stat, directory, part: 0 }, path);
    }
  }

  #upperDirectory(entry: StackEntry, path: string): void {
    const { stack } = this.#pair;
    const { directory, bytes, stat } = entry;
    const opened = stack.openChild([directory], entry);
    const [fd] = opened ?? [];
    if (opened === null || fd === undefined) return;
    try {
      if (this.#isOnlyWay(fd, path, stat)) return;
      if (!this.#writer.add({ directory, bytes, path }, stat)) return;
      if (isOpaque(this.#files, fd)) this.#writer.opaque(path, stat);
      this.#upperLevel(fd, path);
    } finally {
      stack.close(opened);
    }
  }

  /** There only because something was mounted below. */
  #isOnlyWay(fd: number, path: string, stat: FileStat): boolean {
    const { stack, lowers } = this.#pair;
    if (!this.#excluded.ways.has(path)) return false;
    const before = stack.at(lowers, path, (found) => found.stat);
    if (before !== null && !sameAttributes(before, stat)) return false;
    return !this.#hasOwn(fd, path);
  }

  #hasOwn(fd: number, path: string): boolean {
    const { stack } = this.#pair;
    return stack.names(fd).some((bytes) => {
      const name = byteText(bytes);
      const below = `${path}/${name}`;
      if (this.#excluded.paths.has(below)) return false;
      const stat = statOrNull(this.#files, fd, bytes);
      if (stat === null) return false;
      if (stat.type !== 'directory' || !this.#excluded.ways.has(below)) return true;
      const opened = stack.openChild([fd], { name, bytes, stat, directory: fd, part: 0 });
      const [child] = opened ?? [];
      if (opened === null || child === undefined) return false;
      try {
        return !this.#isOnlyWay(child, below, stat);
      } finally {
        stack.close(opened);
      }
    });
  }

  /** Of a whole tree: what differs, each with its place looked up again. */
  #copied(changes: readonly TreeChange[]): void {
    const { stack, upper } = this.#pair;
    for (const [index, { path, kind }] of changes.entries()) {
      if (this.#isExcluded(path)) continue;
      if (this.#excluded.ways.has(path) && !this.#changesOwn(changes, index)) continue;
      if (kind === REMOVED) this.#writer.whiteout(path, null);
      else {
        stack.at([upper], path, ({ directory, bytes, stat }) =>
          this.#writer.add({ directory, bytes, path }, stat),
        );
      }
    }
  }

  #isExcluded(path: string): boolean {
    for (let at = path.length; at > 0; at = path.lastIndexOf('/', at - 1))
      if (this.#excluded.paths.has(path.slice(0, at))) return true;
    return false;
  }

  #changesOwn(changes: readonly TreeChange[], index: number): boolean {
    const { path = '' } = changes[index] ?? {};
    for (let at = index + 1; changes[at]?.path.startsWith(`${path}/`); at++) {
      const below = changes[at]?.path ?? '';
      if (!this.#isExcluded(below) && !this.#excluded.ways.has(below)) return true;
    }
    return false;
  }
}
