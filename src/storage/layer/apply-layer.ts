import { writeSync } from 'node:fs';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files, FileStat } from '#host/kernel.ts';
import { DirectoryCache, kernelPath } from './directory-cache.ts';
import { batchKind, type PendingEntry, PendingEntries } from './entry-batch.ts';
import { namingEntries } from './entry-errors.ts';
import { nameOf, normalizePath, parentOf, whiteoutOf, type Whiteout } from './layer-path.ts';
import type { TarEntry } from './tar-header.ts';
import type { TarHandler } from './tar-parser.ts';

/**
 * `overlay`: whiteouts become overlayfs's own marks. `merge`: they delete what is in the tree from the
 * layers below.
 */
export type WhiteoutMode = 'overlay' | 'merge';

export interface ApplyOptions {
  readonly files: Files;
  /** Directory descriptor of the tree that is written. */
  readonly root: number;
  readonly whiteouts: WhiteoutMode;
  /**
   * Trees of the layers below, top first: directories the archive implies take their attributes from there.
   */
  readonly lowerRoots: readonly number[];
  /** False: a call or more for each entry. The tree is the same. */
  readonly batched?: boolean;
}

interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const OPAQUE_XATTR = 'trusted.overlay.opaque';
const SPECIAL_BITS = 0o7000;

/** Of a directory that a later entry of the archive replaced. */
function isReplaced(error: unknown): boolean {
  return isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP');
}

/**
 * Writes an archive's entries into a tree, on descriptors only: the kernel resolves every path inside the
 * root. Ordinary entries wait and are made many at once (`PendingEntries`); whatever is not, or looks up a
 * path, or closes a directory, has those that wait made first, so that all comes in the archive's order.
 * What a directory's metadata would disturb (times, set-group-ID, default ACLs) is set when everything
 * else is written.
 */
export class LayerWriter implements TarHandler {
  readonly #files: Files;
  readonly #root: number;
  readonly #options: ApplyOptions;
  readonly #cache: DirectoryCache;
  readonly #directories = new Map<string, TarEntry>();
  /** `merge` only: what this archive itself wrote is not subject to its whiteouts. */
  readonly #written = new Set<string>();
  readonly #implied = new Set<string>();
  readonly #pending: PendingEntries;
  #file: { readonly fd: number; readonly entry: TarEntry } | null = null;
  /** A file whose content is collected for the batch. */
  #collecting: { readonly directory: number; readonly path: string; readonly entry: TarEntry } | null = null;
  #sizeBytes = 0;
  #inodes = 0;

  constructor(options: ApplyOptions) {
    this.#options = options;
    this.#files = options.files;
    this.#root = options.root;
    this.#cache = new DirectoryCache(options.files, options.root);
    this.#pending = new PendingEntries(options.files.startBatch(), (entry) => this.#replay(entry));
  }

  get usage(): { readonly sizeBytes: number; readonly inodes: number } {
    return { sizeBytes: this.#sizeBytes, inodes: this.#inodes };
  }

  /** Directories that were made because something is in them, and that the archive does not list itself. */
  get implied(): readonly string[] {
    return [...this.#implied].filter((path) => !this.#directories.has(path));
  }

  /** Whether the archive lists the tree's root. */
  get sawRoot(): boolean {
    return this.#directories.has('');
  }

  entry(entry: TarEntry): void {
    const path = normalizePath(entry.path);
    const whiteout = whiteoutOf(nameOf(path));
    if (whiteout !== null) {
      this.#pending.flush();
      this.#applyWhiteout(parentOf(path), whiteout, entry);
      return;
    }
    if (path === '') {
      if (entry.type === 'directory') this.#directories.set('', entry);
      return;
    }
    if (this.#options.whiteouts === 'merge') this.#written.add(path);
    this.#inodes++;
    if (entry.type === 'symlink') this.#sizeBytes += entry.linkPath.length;
    if (entry.type === 'directory') this.#directories.set(path, entry);
    const kind = this.#options.batched === false ? null : batchKind(entry);
    if (kind === null) {
      this.#pending.flush();
      this.#makeAlone(path, entry);
      return;
    }
    this.#pending.makeRoom(path, entry);
    const directory = this.#cache.known(parentOf(path)) ?? this.#flushed(() => this.#openParent(path));
    if (kind === 'file') this.#collecting = { directory, path, entry };
    else this.#pending.add({ kind, directory, path, entry });
  }

  data(chunk: Buffer): void {
    if (this.#collecting === null && this.#file === null) return;
    this.#sizeBytes += chunk.length;
    if (this.#collecting !== null) this.#pending.write(chunk);
    else this.#write(chunk);
  }

  entryEnd(): void {
    if (this.#collecting !== null) this.#pending.add({ kind: 'file', ...this.#collecting });
    this.#collecting = null;
    this.#endFile();
  }

  #write(chunk: Buffer): void {
    if (this.#file === null) return;
    let written = 0;
    while (written < chunk.length)
      written += writeSync(this.#file.fd, chunk, written, chunk.length - written);
  }

  #endFile(): void {
    if (this.#file === null) return;
    const { fd, entry } = this.#file;
    this.#file = null;
    try {
      this.#setMetadata(fd, '', entry);
    } finally {
      this.#files.close(fd);
    }
  }

  /** Directories' metadata, what is in one before itself; brothers in a row, as their directory is open. */
  finish(): void {
    this.#pending.flush();
    for (const path of [...this.#directories.keys()].sort().reverse()) {
      const entry = this.#directories.get(path);
      if (entry !== undefined) this.#finishDirectory(path, entry);
    }
    this.#pending.flush();
  }

  #finishDirectory(path: string, entry: TarEntry): void {
    if (path === '' || entry.xattrs !== null || this.#options.batched === false) {
      this.#flushed(() => this.#finishAlone(path, entry));
      return;
    }
    this.#pending.makeRoom(path, entry);
    const parent = parentOf(path);
    const directory = this.#cache.known(parent) ?? this.#flushed(() => this.#existing(parent));
    if (directory !== null) this.#pending.add({ kind: 'directoryEnd', directory, path, entry });
  }

  #finishAlone(path: string, entry: TarEntry): void {
    const parent = this.#existing(parentOf(path));
    if (parent === null) return;
    const name = kernelPath(nameOf(path) || '.');
    let fd: number;
    try {
      fd = this.#files.open(parent, name, { directory: true, noFollow: path !== '' });
    } catch (error) {
      if (isReplaced(error)) return;
      throw error;
    }
    try {
      this.#setMetadata(fd, '', entry);
    } finally {
      this.#files.close(fd);
    }
  }

  #existing(path: string): number | null {
    try {
      return this.#cache.get(path);
    } catch (error) {
      if (isReplaced(error)) return null;
      throw error;
    }
  }

  /** Does what changes the tree, or which descriptors are open, when nothing waits for them any more. */
  #flushed<T>(task: () => T): T {
    this.#pending.flush();
    return task();
  }

  #makeAlone(path: string, entry: TarEntry): void {
    const parent = this.#openParent(path);
    if (entry.type === 'directory') this.#makeDirectory(parent, path, entry);
    else this.#replacing(parent, path, (directory) => this.#make(directory, nameOf(path), entry));
  }

  /** An entry that a batch could not make: one that replaces another, or fails with its own name. */
  #replay(pending: PendingEntry): void {
    const { kind, path, entry } = pending;
    if (kind === 'directoryEnd') {
      this.#finishAlone(path, entry);
      return;
    }
    const alone = namingEntries({
      entry: () => this.#makeAlone(path, entry),
      data: (chunk) => this.#write(chunk),
      entryEnd: () => this.#endFile(),
    });
    alone.entry(entry);
    if (kind === 'file') alone.data(this.#pending.contentOf(pending));
    alone.entryEnd();
  }

  close(): void {
    if (this.#file !== null) this.#files.close(this.#file.fd);
    this.#file = null;
    this.#cache.clear();
    this.#pending.release();
  }

  #openParent(path: string): number {
    const parent = parentOf(path);
    try {
      return this.#cache.get(parent);
    } catch (error) {
      if (!isKernelError(error, 'ENOENT')) throw error;
    }
    this.#makeImplied(parent);
    return this.#cache.get(parent);
  }

  /**
   * Makes the directories of a path that the archive does not list, as they are below, else 0755 and root's.
   */
  #makeImplied(path: string): void {
    let made = '';
    for (const part of path.split('/')) {
      const directory = this.#cache.get(made);
      made = made === '' ? part : `${made}/${part}`;
      const like = this.#ownerBelow(made) ?? { mode: 0o755, uid: 0, gid: 0 };
      try {
        this.#files.mkdir(directory, kernelPath(part), like.mode);
      } catch (error) {
        if (isKernelError(error, 'EEXIST')) continue;
        throw error;
      }
      this.#inodes++;
      this.#implied.add(made);
      if (like.uid !== 0 || like.gid !== 0) this.#files.chown(directory, kernelPath(part), like);
    }
  }

  #ownerBelow(path: string): Owned | null {
    for (const root of this.#options.lowerRoots) {
      let stat: FileStat;
      try {
        stat = this.#files.stat(root, kernelPath(path));
      } catch (error) {
        if (isKernelError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) continue;
        throw error;
      }
      return stat.type === 'directory' ? stat : null;
    }
    return null;
  }

  #makeDirectory(parent: number, path: string, entry: TarEntry): void {
    const name = kernelPath(nameOf(path));
    try {
      this.#files.mkdir(parent, name, entry.mode & ~SPECIAL_BITS);
    } catch (error) {
      if (!isKernelError(error, 'EEXIST')) throw error;
      if (this.#files.stat(parent, name).type === 'directory') return;
      this.#replacing(parent, path, (directory) =>
        this.#files.mkdir(directory, name, entry.mode & ~SPECIAL_BITS),
      );
    }
  }

  /**
   * Makes something; what already has the name goes first, and with it every descriptor that may lie below.
   */
  #replacing(parent: number, path: string, make: (directory: number) => void): void {
    try {
      make(parent);
    } catch (error) {
      if (!isKernelError(error, 'EEXIST')) throw error;
      this.#cache.clear();
      const directory = this.#cache.get(parentOf(path));
      this.#files.removeTree(directory, kernelPath(nameOf(path)));
      make(directory);
    }
  }

  #make(parent: number, name: string, entry: TarEntry): void {
    const files = this.#files;
    const target = kernelPath(name);
    switch (entry.type) {
      case 'file': {
        const fd = files.open(parent, target, {
          access: 'write',
          create: true,
          exclusive: true,
          noFollow: true,
          mode: entry.mode & ~SPECIAL_BITS,
        });
        this.#file = { fd, entry };
        return;
      }
      case 'symlink':
        files.symlink(kernelPath(entry.linkPath), parent, target);
        break;
      case 'hardlink':
        this.#hardLink(entry);
        return;
      case 'character':
      case 'block':
        files.mknod(parent, target, {
          type: entry.type,
          mode: entry.mode,
          major: entry.major,
          minor: entry.minor,
        });
        break;
      case 'fifo':
        files.mknod(parent, target, { type: 'fifo', mode: entry.mode });
        break;
      case 'directory':
        return;
    }
    this.#setMetadata(parent, name, entry);
  }

  /** Both names are resolved inside the root; the last component of neither is followed. */
  #hardLink(entry: TarEntry): void {
    const existing = normalizePath(entry.linkPath, 'hardlink target');
    const path = normalizePath(entry.path);
    if (existing === path) return;
    this.#files.link(this.#root, kernelPath(existing), kernelPath(path));
  }

  /**
   * Owner, mode, attributes, times, in this order: a new owner takes set-ID bits and capabilities away.
   * `name` '' is `fd`.
   */
  #setMetadata(fd: number, name: string, entry: TarEntry): void {
    const files = this.#files;
    const path = kernelPath(name);
    const isDirectory = entry.type === 'directory';
    if (entry.uid !== 0 || entry.gid !== 0 || isDirectory) files.chown(fd, path, entry);
    if (entry.type !== 'symlink' && (isDirectory || (entry.mode & SPECIAL_BITS) !== 0))
      files.chmod(fd, path, entry.mode);
    if (entry.xattrs !== null) this.#setXattrs(fd, name, entry.xattrs);
    files.setTimes(fd, path, { atime: entry.mtime, mtime: entry.mtime });
  }

  #setXattrs(fd: number, name: string, xattrs: ReadonlyMap<string, Buffer>): void {
    for (const [attribute, value] of xattrs) {
      // Marks of the overlay itself would let an archive reach into other layers.
      if (attribute.startsWith('trusted.overlay.') || attribute.startsWith('user.overlay.')) continue;
      try {
        this.#files.setXattr(fd, kernelPath(name), { name: attribute, value });
      } catch (error) {
        // The file system cannot keep it, or the machine has no SELinux: the reference goes on as well.
        if (!isKernelError(error, 'EOPNOTSUPP', 'EPERM')) throw error;
      }
    }
  }

  #applyWhiteout(parent: string, whiteout: Whiteout, entry: TarEntry): void {
    if (whiteout.kind === 'ignored') return;
    const anchor =
      whiteout.kind === 'remove'
        ? parent === ''
          ? whiteout.name
          : `${parent}/${whiteout.name}`
        : `${parent}/.`;
    if (this.#options.whiteouts === 'merge') {
      this.#deleteBelow(parent, whiteout, anchor);
      return;
    }
    const directory = parent === '' && whiteout.kind === 'opaque' ? this.#root : this.#openParent(anchor);
    if (whiteout.kind === 'opaque') {
      this.#files.setXattr(directory, '', { name: OPAQUE_XATTR, value: Buffer.from('y') });
      return;
    }
    try {
      this.#files.mknod(directory, kernelPath(whiteout.name), {
        type: 'character',
        mode: 0,
        major: 0,
        minor: 0,
      });
      this.#inodes++;
      if (entry.uid !== 0 || entry.gid !== 0) this.#files.chown(directory, kernelPath(whiteout.name), entry);
    } catch (error) {
      // The same archive brought a file of this name: whiteouts speak about the layers below only.
      if (!isKernelError(error, 'EEXIST')) throw error;
    }
  }

  #deleteBelow(parent: string, whiteout: Whiteout, anchor: string): void {
    let directory: number;
    try {
      directory = this.#cache.get(parent);
    } catch (error) {
      if (isKernelError(error, 'ENOENT', 'ENOTDIR')) return;
      throw error;
    }
    if (whiteout.kind === 'remove') {
      if (this.#written.has(anchor)) return;
      this.#files.removeTree(directory, kernelPath(whiteout.name));
      this.#cache.clear();
      return;
    }
    const listing = this.#files.open(directory, '.', { directory: true });
    try {
      for (const item of this.#files.readDirectory(listing)) {
        const name = item.bytes.toString('latin1');
        if (!this.#written.has(parent === '' ? name : `${parent}/${name}`))
          this.#files.removeTree(listing, item.bytes);
      }
    } finally {
      this.#files.close(listing);
    }
    this.#cache.clear();
  }
}
