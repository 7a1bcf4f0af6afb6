import type { FileStat, FileType } from '../kernel.ts';

export const STATX_BYTES = 256;
export const STATX_BASIC = 0x7ff;

export const S_IF = {
  MT: 0o170000,
  SOCK: 0o140000,
  LNK: 0o120000,
  REG: 0o100000,
  BLK: 0o060000,
  DIR: 0o040000,
  CHR: 0o020000,
  FIFO: 0o010000,
} as const;

const TYPES: Readonly<Record<number, FileType>> = {
  [S_IF.SOCK]: 'socket',
  [S_IF.LNK]: 'symlink',
  [S_IF.REG]: 'file',
  [S_IF.BLK]: 'block',
  [S_IF.DIR]: 'directory',
  [S_IF.CHR]: 'character',
  [S_IF.FIFO]: 'fifo',
};

/** Of a mode, and of a directory entry's type shifted to its place (`DT_DIR << 12` is `S_IFDIR`). */
export function fileType(mode: number): FileType {
  return TYPES[mode & S_IF.MT] ?? 'unknown';
}

/** `struct statx` of linux/stat.h. */
export function parseStatx(buffer: Buffer): FileStat {
  const mode = buffer.readUInt16LE(28);
  const time = (offset: number) => ({
    seconds: Number(buffer.readBigInt64LE(offset)),
    nanoseconds: buffer.readUInt32LE(offset + 8),
  });
  return {
    type: fileType(mode),
    mode: mode & 0o7777,
    uid: buffer.readUInt32LE(20),
    gid: buffer.readUInt32LE(24),
    sizeBytes: Number(buffer.readBigUInt64LE(40)),
    blocks: Number(buffer.readBigUInt64LE(48)),
    inode: buffer.readBigUInt64LE(32),
    links: buffer.readUInt32LE(16),
    device: { major: buffer.readUInt32LE(136), minor: buffer.readUInt32LE(140) },
    rdev: { major: buffer.readUInt32LE(128), minor: buffer.readUInt32LE(132) },
    mtime: time(112),
    ctime: time(96),
  };
}
