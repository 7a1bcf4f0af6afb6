import { readSync, writeSync } from 'node:fs';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files, FileStat } from '#host/kernel.ts';
import type { TreeSize } from './apply-job.ts';

const CHUNK = 256 * 1024;

interface Copy {
  readonly files: Files;
  /**
   * First copy of each inode with several names, as descriptor of its directory's path: inode → path in the
   * target.
   */
  readonly seen: Map<bigint, Buffer>;
  readonly targetRoot: number;
  readonly buffer: Buffer;
  sizeBytes: number;
  inodes: number;
}

/** Copies a tree with owners, modes, attributes, times and hard links, on descriptors. */
export function copyTree(files: Files, source: number, target: number): TreeSize {
  const copy: Copy = {
    files,
    seen: new Map(),
    targetRoot: target,
    buffer: Buffer.allocUnsafe(CHUNK),
    sizeBytes: 0,
    inodes: 0,
  };
  copyDirectory(copy, { source, target, path: Buffer.alloc(0) });
  return { sizeBytes: copy.sizeBytes, inodes: copy.inodes };
}

interface Place {
  readonly source: number;
  readonly target: number;
  readonly path: Buffer;
}

function copyDirectory(copy: Copy, place: Place): void {
  const { files } = copy;
  const listing = files.open(place.source, '.', { directory: true });
  try {
    for (const entry of files.readDirectory(listing))
      copyEntry(copy, { ...place, source: listing }, entry.bytes);
    copyMetadata(copy, { from: listing, to: place.target, name: '' }, files.stat(listing, ''));
  } finally {
    files.close(listing);
  }
}

function copyEntry(copy: Copy, place: Place, name: Buffer): void {
  const { files } = copy;
  const stat = files.stat(place.source, name);
  const path = place.path.length === 0 ? name : Buffer.concat([place.path, Buffer.from('/'), name]);
  if (stat.type === 'directory') {
    files.mkdir(place.target, name, 0o700);
    copy.inodes++;
    const source = files.open(place.source, name, { access: 'path', directory: true, noFollow: true });
    const target = files.open(place.target, name, { access: 'path', directory: true, noFollow: true });
    try {
      copyDirectory(copy, { source, target, path });
    } finally {
      files.close(source);
      files.close(target);
    }
    return;
  }
  const earlier = stat.links > 1 ? copy.seen.get(stat.inode) : undefined;
  if (earlier !== undefined) {
    files.link(copy.targetRoot, earlier, path);
    return;
  }
  if (stat.links > 1) copy.seen.set(stat.inode, path);
  copy.inodes++;
  if (stat.type === 'file') copyContent(copy, place, name);
  else if (stat.type === 'symlink') {
    files.symlink(files.readLink(place.source, name), place.target, name);
    copy.sizeBytes += stat.sizeBytes;
  } else if (stat.type !== 'unknown') {
    files.mknod(place.target, name, {
      type: stat.type,
      mode: stat.mode,
      major: stat.rdev.major,
      minor: stat.rdev.minor,
    });
  }
  copyMetadata(copy, { from: place.source, to: place.target, name }, stat);
}

function copyContent(copy: Copy, place: Place, name: Buffer): void {
  const { files, buffer } = copy;
  const from = files.open(place.source, name, { noFollow: true, nonBlocking: true });
  try {
    const to = files.open(place.target, name, {
      access: 'write',
      create: true,
      exclusive: true,
      mode: 0o600,
    });
    try {
      for (;;) {
        const read = readSync(from, buffer, 0, buffer.length, null);
        if (read === 0) break;
        copy.sizeBytes += read;
        let written = 0;
        while (written < read) written += writeSync(to, buffer, written, read - written);
      }
    } finally {
      files.close(to);
    }
  } finally {
    files.close(from);
  }
}

function copyMetadata(copy: Copy, at: { from: number; to: number; name: Buffer | '' }, stat: FileStat): void {
  const { files } = copy;
  files.chown(at.to, at.name, stat);
  if (stat.type !== 'symlink') files.chmod(at.to, at.name, stat.mode);
  for (const name of files.listXattrs(at.from, at.name)) {
    const value = files.getXattr(at.from, at.name, name);
    try {
      if (value !== null) files.setXattr(at.to, at.name, { name, value });
    } catch (error) {
      if (!isKernelError(error, 'EOPNOTSUPP', 'EPERM')) throw error;
    }
  }
  files.setTimes(at.to, at.name, { atime: stat.mtime, mtime: stat.mtime });
}
