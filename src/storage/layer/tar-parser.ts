import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { parsePax, type PaxRecords } from './pax.ts';
import { BLOCK, invalidHeader, isZeroBlock, parseRawHeader, unexpectedEof } from './tar-header.ts';
import type { RawHeader, TarEntry, TarType } from './tar-header.ts';

/**
 * Called in the archive's order, synchronously from `push`. `data` gets views that are valid during the call
 * only.
 */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Parts of the content of the entry before; only for files. */
  data(chunk: Buffer): void;
  /** The entry's content is complete. */
  entryEnd(): void;
}

const TYPES: ReadonlyMap<string, TarType> = new Map([
  ['0', 'file'],
  ['7', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
] as const);

type State = 'header' | 'record' | 'data' | 'padding' | 'end';

/**
 * A tar reader for ustar, PAX and GNU archives, fed with chunks of any size. It allocates nothing that grows
 * with the archive: records are bounded, contents are passed on as views.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #block = Buffer.alloc(BLOCK);
  #blockFill = 0;
  #state: State = 'header';
  #zeroBlocks = 0;
  /** Bytes of content, then of padding, still to come. */
  #left = 0;
  #padding = 0;
  #recordFlag = '';
  #record: Buffer[] = [];
  #pax: PaxRecords | null = null;
  #longName: string | null = null;
  #longLink: string | null = null;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** True after the two zero blocks; whatever follows is ignored. */
  get ended(): boolean {
    return this.#state === 'end';
  }

  /** Errors: `invalidArgument`, and whatever the handler throws. */
  push(chunk: Buffer): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#state === 'end') return;
      if (this.#state === 'header') position = this.#takeHeader(chunk, position);
      else if (this.#state === 'padding') position = this.#skipPadding(chunk, position);
      else position = this.#takeContent(chunk, position);
    }
  }

  /** The source ended. Errors: `invalidArgument` when that was in the middle of an entry. */
  finish(): void {
    if (this.#state === 'end') return;
    const betweenEntries = this.#state === 'header' && this.#blockFill === 0;
    if (!betweenEntries || this.#pax !== null || this.#longName !== null) throw unexpectedEof();
  }

  #takeHeader(chunk: Buffer, start: number): number {
    let block: Buffer = this.#block;
    let end: number;
    if (this.#blockFill === 0 && chunk.length - start >= BLOCK) {
      end = start + BLOCK;
      block = chunk.subarray(start, end);
    } else {
      end = Math.min(chunk.length, start + BLOCK - this.#blockFill);
      chunk.copy(this.#block, this.#blockFill, start, end);
      this.#blockFill += end - start;
      if (this.#blockFill < BLOCK) return end;
      this.#blockFill = 0;
    }
    if (block[0] === 0 && isZeroBlock(block)) {
      if (++this.#zeroBlocks === 2) this.#state = 'end';
      return end;
    }
    if (this.#zeroBlocks > 0) throw invalidHeader();
    this.#begin(parseRawHeader(block));
    return end;
  }

  #begin(raw: RawHeader): void {
    if (raw.size < 0) throw invalidHeader();
    if (raw.typeFlag === 'x' || raw.typeFlag === 'g' || raw.typeFlag === 'L' || raw.typeFlag === 'K') {
      if (raw.size > LIMITS.tarRecordBytes)
        throw new EngineError('invalidArgument', 'archive/tar: header field too long');
      this.#recordFlag = raw.typeFlag;
      this.#record = [];
      this.#expect('record', raw.size);
      if (raw.size === 0) this.#endRecord();
      return;
    }
    const entry = this.#entryOf(raw);
    this.#pax = null;
    this.#longName = null;
    this.#longLink = null;
    this.#handler.entry(entry);
    this.#expect('data', entry.sizeBytes);
    if (entry.sizeBytes === 0) this.#handler.entryEnd();
  }

  #expect(state: 'record' | 'data', size: number): void {
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    this.#state = size === 0 ? 'header' : state;
  }

  #entryOf(raw: RawHeader): TarEntry {
    const pax = this.#pax ?? {};
    const path = pax.path ?? this.#longName ?? raw.name;
    let type = TYPES.get(raw.typeFlag);
    if (raw.typeFlag === 'S')
      throw new EngineError('invalidArgument', 'archive/tar: sparse files are not supported');
    if (type === undefined) {
      throw new EngineError('invalidArgument', `unhandled tar header type ${raw.typeFlag.charCodeAt(0)}`);
    }
    if (type === 'file' && path.endsWith('/')) type = 'directory';
    const linkPath = pax.linkPath ?? this.#longLink ?? raw.linkName;
    if (path.length > LIMITS.tarPathBytes || linkPath.length > LIMITS.tarPathBytes) {
      throw new EngineError('invalidArgument', `archive/tar: path longer than ${LIMITS.tarPathBytes} bytes`);
    }
    const size = pax.size ?? raw.size;
    const uid = pax.uid ?? raw.uid;
    const gid = pax.gid ?? raw.gid;
    if (size < 0 || uid < 0 || gid < 0 || uid > 0xfffffffe || gid > 0xfffffffe) throw invalidHeader();
    return {
      type,
      path,
      linkPath,
      mode: raw.mode & 0o7777,
      uid,
      gid,
      sizeBytes: type === 'file' ? size : 0,
      mtime: pax.mtime ?? { seconds: raw.mtime, nanoseconds: 0 },
      major: raw.major,
      minor: raw.minor,
      xattrs: pax.xattrs ?? null,
    };
  }

  #takeContent(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#left);
    const part = chunk.subarray(start, end);
    this.#left -= end - start;
    if (this.#state === 'data') this.#handler.data(part);
    else this.#record.push(Buffer.from(part));
    if (this.#left > 0) return end;
    const wasData = this.#state === 'data';
    this.#state = this.#padding > 0 ? 'padding' : 'header';
    if (wasData) this.#handler.entryEnd();
    else this.#endRecord();
    return end;
  }

  #skipPadding(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#padding);
    this.#padding -= end - start;
    if (this.#padding === 0) this.#state = 'header';
    return end;
  }

  #endRecord(): void {
    const bytes =
      this.#record.length === 1 && this.#record[0] !== undefined
        ? this.#record[0]
        : Buffer.concat(this.#record);
    this.#record = [];
    if (this.#recordFlag === 'x') this.#pax = parsePax(bytes);
    else if (this.#recordFlag === 'L') this.#longName = untilNul(bytes);
    else if (this.#recordFlag === 'K') this.#longLink = untilNul(bytes);
    // `g` speaks about the whole archive (git writes its commit there) and changes no entry, as in the
    // reference.
  }
}

function untilNul(bytes: Buffer): string {
  const nul = bytes.indexOf(0);
  return bytes.toString('latin1', 0, nul < 0 ? bytes.length : nul);
}
