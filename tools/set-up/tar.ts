import { Buffer } from 'node:buffer';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/**
 * One entry of a tape archive. Times are zero and owners root, unless said, so that the same content gives
 * the same bytes.
 */
export interface TarEntry {
  readonly path: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'fifo';
  readonly content?: Uint8Array | string;
  /** The path of a file that holds the content instead; for `writeTar` only. */
  readonly file?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtimeS?: number;
  /** Of a symbolic or hard link. */
  readonly target?: string;
  readonly device?: { readonly major: number; readonly minor: number };
}

const BLOCK = 512;
const TYPE_FLAGS = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  directory: '5',
  fifo: '6',
} as const;
const DEFAULT_MODES = {
  file: 0o644,
  hardlink: 0o644,
  symlink: 0o777,
  character: 0o600,
  directory: 0o755,
  fifo: 0o644,
};

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}

/** POSIX.1-1988 (ustar) splits a long path at a slash: prefix ≤ 155 bytes, name ≤ 100. */
function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  const slash = path.lastIndexOf('/', 155);
  const name = path.slice(slash + 1);
  if (slash <= 0 || Buffer.byteLength(name) > 100)
    throw new Error(`the path is too long for a ustar header: ${path}`);
  return { name, prefix: path.slice(0, slash) };
}

function header(entry: TarEntry, sizeBytes: number): Buffer {
  const type = entry.type ?? 'file';
  const { name, prefix } = splitPath(entry.path);
  if (Buffer.byteLength(entry.target ?? '') > 100)
    throw new Error(`the link's target is too long: ${entry.target}`);
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  block.write(octal(entry.mode ?? DEFAULT_MODES[type], 8), 100);
  block.write(octal(entry.uid ?? 0, 8), 108);
  block.write(octal(entry.gid ?? 0, 8), 116);
  block.write(octal(sizeBytes, 12), 124);
  block.write(octal(entry.mtimeS ?? 0, 12), 136);
  block.write('        ', 148);
  block.write(TYPE_FLAGS[type], 156);
  block.write(entry.target ?? '', 157, 100);
  block.write('ustar\x0000', 257);
  block.write(octal(entry.device?.major ?? 0, 8), 329);
  block.write(octal(entry.device?.minor ?? 0, 8), 337);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A whole archive in memory: for images of a few megabytes. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    if (entry.file !== undefined) throw new Error(`${entry.path}: files go into archives on disk only`);
    const content = Buffer.from(entry.content ?? '');
    parts.push(header(entry, content.length), content, Buffer.alloc(-content.length & (BLOCK - 1)));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

async function* tarChunks(entries: readonly TarEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    if (entry.file === undefined) {
      yield tarOf([entry]).subarray(0, -2 * BLOCK);
      continue;
    }
    const sizeBytes = statSync(entry.file).size;
    yield header(entry, sizeBytes);
    yield* createReadStream(entry.file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
    yield Buffer.alloc(-sizeBytes & (BLOCK - 1));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Writes an archive of any size to a file; the contents of its files pass through in pieces. */
export async function writeTar(path: string, entries: readonly TarEntry[]): Promise<void> {
  await pipeline(tarChunks(entries), createWriteStream(path));
}
