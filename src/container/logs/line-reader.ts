import { open, stat, type FileHandle } from 'node:fs/promises';
import { errorCode } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export type Line = { readonly kind: 'line'; readonly text: string } | { readonly kind: 'too-long' };

/** The files of a log, newest first: the log itself, then `.1`, `.2`, … as far as they exist. */
async function logFiles(
  path: string,
): Promise<readonly { readonly path: string; readonly inode: number; readonly sizeBytes: number }[]> {
  const files = [];
  for (let index = 0; ; index++) {
    const name = index === 0 ? path : `${path}.${index}`;
    const facts = await stat(name).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    });
    if (facts === null) {
      if (index > 0) return files;
      continue;
    }
    files.push({ path: name, inode: facts.ino, sizeBytes: facts.size });
  }
}

async function tryOpen(path: string): Promise<FileHandle | null> {
  return await open(path, 'r').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
}

/**
 * Offset behind the `wanted`-th newline from the end (a torn last line counts as one); `found` is how many
 * lines follow it.
 */
async function tailOffset(
  handle: FileHandle,
  wanted: number,
): Promise<{ readonly offset: number; readonly found: number }> {
  let position = (await handle.stat()).size;
  let found = 0;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const end = position;
  while (position > 0) {
    const length = Math.min(CHUNK_BYTES, position);
    const { bytesRead } = await handle.read(buffer, 0, length, position - length);
    if (bytesRead < length) break;
    for (let i = length - 1; i >= 0; i--) {
      if (buffer[i] !== NEWLINE || position - length + i === end - 1) continue;
      if (++found === wanted) return { offset: position - length + i + 1, found };
    }
    position -= length;
  }
  return { offset: 0, found: end === 0 ? 0 : found + 1 };
}

/**
 * Reads the lines of a rotated log forward. Memory is one chunk and one line; whoever does not take lines
 * just leaves them
 * in the file. At the end of what is written `next` gives null, and later more, if more was written.
 */
export class LogLineReader {
  readonly #path: string;
  #handle: FileHandle | null = null;
  #inode = 0;
  #offset = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #skipping = false;
  readonly #ready: Line[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** Goes to the start of the last `lines` lines, or of everything when null. */
  async seek(lines: number | null): Promise<void> {
    const files = await logFiles(this.#path);
    let wanted = lines ?? Number.POSITIVE_INFINITY;
    let start = files.length - 1;
    let offset = 0;
    for (let index = 0; lines !== null && index < files.length; index++) {
      const handle = await tryOpen(files[index]?.path ?? '');
      if (handle === null) continue;
      try {
        const tail =
          wanted === 0 ? { offset: (await handle.stat()).size, found: 0 } : await tailOffset(handle, wanted);
        start = index;
        offset = tail.offset;
        wanted -= tail.found;
      } finally {
        await handle.close();
      }
      if (wanted <= 0) break;
    }
    const first = files[start];
    if (first !== undefined) await this.#use(first.path, offset);
  }

  async #use(path: string, offset: number): Promise<boolean> {
    const handle = await tryOpen(path);
    if (handle === null) return false;
    await this.#handle?.close();
    this.#handle = handle;
    this.#inode = (await handle.stat()).ino;
    this.#offset = offset;
    return true;
  }

  /** The next line, or null when nothing more is written for now. */
  async next(): Promise<Line | null> {
    for (;;) {
      const line = this.#ready.shift();
      if (line !== undefined) return line;
      if (!(await this.#fill()) && !(await this.#followRotation())) return null;
    }
  }

  async #fill(): Promise<boolean> {
    if (this.#handle === null) return await this.#use(this.#path, 0);
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await this.#handle.read(buffer, 0, CHUNK_BYTES, this.#offset);
    if (bytesRead === 0) {
      // A log that keeps one file only is cut instead of renamed.
      if ((await this.#handle.stat()).size >= this.#offset) return false;
      this.#offset = 0;
      this.#drop();
      return true;
    }
    this.#offset += bytesRead;
    this.#split(buffer.subarray(0, bytesRead));
    return true;
  }

  #drop(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #split(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      if (this.#skipping) this.#ready.push({ kind: 'too-long' });
      else
        this.#ready.push({
          kind: 'line',
          text: Buffer.concat([...this.#pending, chunk.subarray(from, at)]).toString('utf8'),
        });
      this.#skipping = false;
      this.#drop();
      from = at + 1;
    }
    if (this.#skipping) return;
    this.#pending.push(chunk.subarray(from));
    this.#pendingBytes += chunk.length - from;
    if (this.#pendingBytes > LIMITS.logLineBytes) {
      this.#skipping = true;
      this.#drop();
    }
  }

  /** At the end of a file that was renamed: goes on with the one written after it. */
  async #followRotation(): Promise<boolean> {
    if (this.#handle === null) return false;
    const files = await logFiles(this.#path);
    const index = files.findIndex((file) => file.inode === this.#inode);
    if (index === 0 || files.length === 0) return false;
    // The rest that was written between our last read and the rename.
    if (await this.#fill()) return true;
    const following = index < 0 ? files.at(-1) : files[index - 1];
    if (following === undefined) return false;
    if (this.#pendingBytes > 0) this.#ready.push({ kind: 'too-long' });
    this.#drop();
    return await this.#use(following.path, 0);
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }
}
