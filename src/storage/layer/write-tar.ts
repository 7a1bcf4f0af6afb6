import { readSync } from 'node:fs';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files, FileStat } from '#host/kernel.ts';
import { tarEnd, tarHeader, tarPadding, type TarMember, type TarMemberType } from '../tar-writer.ts';
import { byteText, isGone, type StackDirectory, type TreeStack } from './tree-stack.ts';

/** Where bytes go; may wait. */
export type ByteSink = (bytes: Buffer) => void;

const CHUNK = 256 * 1024;
const WHITEOUT_MODE = 0o600;

/** Something in a directory that is held open. */
export interface Place {
  readonly directory: number;
  readonly bytes: Buffer;
  /** In the archive: a byte string without a slash at either end. */
  readonly path: string;
}

/** Attributes that belong to a file's meaning; marks of the overlay and of the host's own policy stay here. */
function isCarried(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}

/**
 * Writes files as an archive: times in whole seconds, sockets left out, names of one inode as hard links,
 * file capabilities and `user.` attributes kept.
 */
export class TarTreeWriter {
  readonly #files: Files;
  readonly #sink: ByteSink;
  /** First name of each inode that has several. */
  readonly #seen = new Map<string, string>();
  #buffer = Buffer.allocUnsafe(CHUNK);
  #used = 0;

  constructor(files: Files, sink: ByteSink) {
    this.#files = files;
    this.#sink = sink;
  }

  /** False when it was left out, or is gone. */
  add(place: Place, stat: FileStat): boolean {
    if (stat.type === 'socket' || stat.type === 'unknown') return false;
    try {
      if (stat.type === 'file') return this.#addFile(place, stat);
      if (stat.type === 'directory') return this.#addDirectory(place, stat);
      const linkPath = stat.type === 'symlink' ? byteText(this.#readLink(place)) : '';
      if (!this.#addLink(place, stat)) this.#header(place.path, stat, { type: stat.type, linkPath });
      return true;
    } catch (error) {
      // No link any more when it was read.
      if (isGone(error) || (stat.type === 'symlink' && isKernelError(error, 'EINVAL'))) return false;
      throw error;
    }
  }

  whiteout(path: string, stat: FileStat | null): void {
    const at = path.lastIndexOf('/') + 1;
    this.#write(
      tarHeader({
        path: `${path.slice(0, at)}.wh.${path.slice(at)}`,
        type: 'file',
        mode: WHITEOUT_MODE,
        sizeBytes: 0,
        mtimeSeconds: stat?.mtime.seconds ?? 0,
        uid: stat?.uid ?? 0,
        gid: stat?.gid ?? 0,
      }),
    );
  }

  opaque(path: string, stat: FileStat): void {
    const { uid, gid } = stat;
    const member = { mode: stat.mode & 0o777, sizeBytes: 0, mtimeSeconds: 0, uid, gid };
    this.#write(tarHeader({ path: `${path}/.wh..wh..opq`, type: 'file', ...member }));
  }

  finish(): void {
    this.#write(tarEnd());
    this.#flush();
  }

  #readLink(place: Place): Buffer {
    return this.#files.readLink(place.directory, place.bytes);
  }

  #addDirectory(place: Place, stat: FileStat): boolean {
    const fd = this.#files.open(place.directory, place.bytes, { directory: true, noFollow: true });
    try {
      this.#header(`${place.path}/`, stat, { type: 'directory', xattrs: this.#xattrs(fd) });
    } finally {
      this.#files.close(fd);
    }
    return true;
  }

  #addFile(place: Place, before: FileStat): boolean {
    if (this.#addLink(place, before)) return true;
    const fd = this.#files.open(place.directory, place.bytes, { noFollow: true, nonBlocking: true });
    try {
      const stat = this.#files.stat(fd, '');
      // Replaced since it was looked at.
      if (stat.type !== 'file') return false;
      const { sizeBytes } = stat;
      this.#header(place.path, stat, { type: 'file', sizeBytes, xattrs: this.#xattrs(fd) });
      this.#content(fd, sizeBytes);
      return true;
    } finally {
      this.#files.close(fd);
    }
  }

  /** True when an earlier name of the same inode was written, and this one now points to it. */
  #addLink(place: Place, stat: FileStat): boolean {
    if (stat.links < 2) return false;
    const key = `${stat.device.major}:${stat.device.minor}:${stat.inode}`;
    const linkPath = this.#seen.get(key);
    if (linkPath === undefined) this.#seen.set(key, place.path);
    else this.#header(place.path, stat, { type: 'hardlink', linkPath });
    return linkPath !== undefined;
  }

  #xattrs(fd: number): Map<string, Buffer> | undefined {
    let names: readonly string[];
    try {
      names = this.#files.listXattrs(fd, '').filter(isCarried);
    } catch (error) {
      if (isKernelError(error, 'EOPNOTSUPP')) return undefined;
      throw error;
    }
    if (names.length === 0) return undefined;
    const values = new Map<string, Buffer>();
    for (const name of names) {
      const value = this.#files.getXattr(fd, '', name);
      if (value !== null) values.set(name, value);
    }
    return values;
  }

  #header(
    path: string,
    stat: FileStat,
    of: {
      readonly type: TarMemberType;
      readonly sizeBytes?: number;
      readonly linkPath?: string;
      readonly xattrs?: Map<string, Buffer> | undefined;
    },
  ): void {
    const isDevice = of.type === 'character' || of.type === 'block';
    const member: TarMember = {
      path,
      type: of.type,
      mode: stat.mode,
      sizeBytes: of.sizeBytes ?? 0,
      mtimeSeconds: stat.mtime.seconds,
      uid: stat.uid,
      gid: stat.gid,
      ...(of.linkPath !== undefined && { linkPath: of.linkPath }),
      ...(isDevice && stat.rdev),
      ...(of.xattrs !== undefined && { xattrs: of.xattrs }),
    };
    this.#write(tarHeader(member));
  }

  /** As many bytes as the header says, whatever becomes of the file meanwhile. */
  #content(fd: number, sizeBytes: number): void {
    let left = sizeBytes;
    while (left > 0) {
      if (this.#used === this.#buffer.length) this.#flush();
      const room = Math.min(left, this.#buffer.length - this.#used);
      let read = readSync(fd, this.#buffer, this.#used, room, null);
      if (read === 0) {
        this.#buffer.fill(0, this.#used, this.#used + room);
        read = room;
      }
      this.#used += read;
      left -= read;
    }
    this.#write(tarPadding(sizeBytes));
  }

  #write(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#used === this.#buffer.length) this.#flush();
      const copied = bytes.copy(this.#buffer, this.#used, at);
      this.#used += copied;
      at += copied;
    }
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#sink(this.#buffer.subarray(0, this.#used));
    // The other side owns those bytes now.
    this.#buffer = Buffer.allocUnsafe(CHUNK);
    this.#used = 0;
  }
}

export interface JoinedTree {
  readonly stack: TreeStack;
  readonly root: StackDirectory;
}

/** Writes a whole joined tree, without an entry for its root. */
export function writeTree({ stack, root }: JoinedTree, writer: TarTreeWriter): void {
  const visit = (directory: StackDirectory, prefix: string): void => {
    for (const entry of stack.list(directory)) {
      const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      const added = writer.add({ directory: entry.directory, bytes: entry.bytes, path }, entry.stat);
      if (!added || entry.stat.type !== 'directory') continue;
      const child = stack.openChild(directory, entry);
      if (child === null) continue;
      try {
        visit(child, path);
      } finally {
        stack.close(child);
      }
    }
  };
  visit(root, '');
  writer.finish();
}
