import { giveBack } from '#base/give-back.ts';

/*
 * Entries of a file tree, packed so that one call makes many of them. Each is named by the descriptor of its
 * directory and a single component, so nothing is looked up by path.
 */

/** Most entries of real archives are smaller; what is larger gains nothing here. */
export const BATCHED_CONTENT_BYTES = 256 * 1024;

const CONTENT_BYTES = 1024 * 1024;
const ENTRIES_BYTES = 64 * 1024;
const HEAD_BYTES = 40;
const ALIGNMENT = 8;

/** As `native/addon/entries.h` numbers them. */
const KINDS = { file: 1, symlink: 2, directory: 3, directoryEnd: 4 } as const;

/**
 * `directory` is made if it is not there, and nothing more; `directoryEnd` gives it its owner, mode and times.
 * A symbolic link's content is its target.
 */
export type EntryKind = keyof typeof KINDS;

export interface BatchedEntry {
  readonly kind: EntryKind;
  /** Descriptor of the directory it is in; stays open until the batch has run. */
  readonly directory: number;
  /** One component, one character per byte. */
  readonly name: string;
  /** All of 07777; the umask is not applied. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of last access, too. */
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
}

/** Makes the entries in order: how many until the first that is refused, which leaves nothing. */
export type MakeEntries = (entries: Uint8Array, content: Uint8Array) => number;

export class EntryBatch {
  readonly #make: MakeEntries;
  readonly #entries = Buffer.alloc(ENTRIES_BYTES);
  readonly #content = Buffer.allocUnsafeSlow(CONTENT_BYTES);
  #used = 0;
  #contentUsed = 0;
  /** Where the content of the entry that is added next begins. */
  #contentStart = 0;

  constructor(make: MakeEntries) {
    this.#make = make;
  }

  /** Its memory goes now, not when the collector finds it. It is not used afterwards. */
  release(): void {
    for (const bytes of [this.#entries, this.#content]) giveBack(bytes);
  }

  hasRoom(nameBytes: number, contentBytes: number): boolean {
    return (
      this.#used + HEAD_BYTES + nameBytes + ALIGNMENT <= ENTRIES_BYTES &&
      this.#contentUsed + contentBytes <= CONTENT_BYTES
    );
  }

  /** A part of the content of the entry that is added next. There must be room. */
  write(chunk: Buffer): void {
    this.#contentUsed += chunk.copy(this.#content, this.#contentUsed);
  }

  /** The target of the symbolic link that is added next. */
  writeTarget(target: string): void {
    this.#contentUsed += this.#content.write(target, this.#contentUsed, 'latin1');
    this.#contentUsed = this.#content.writeUInt8(0, this.#contentUsed);
  }

  /** The content is what was written since the entry before. Gives where it begins. */
  add(entry: BatchedEntry): number {
    const bytes = this.#entries;
    const at = this.#used;
    const { name, mtime } = entry;
    bytes.writeUInt16LE(KINDS[entry.kind], at);
    bytes.writeUInt16LE(name.length, at + 2);
    bytes.writeInt32LE(entry.directory, at + 4);
    bytes.writeUInt32LE(entry.mode, at + 8);
    bytes.writeUInt32LE(entry.uid, at + 12);
    bytes.writeUInt32LE(entry.gid, at + 16);
    bytes.writeUInt32LE(mtime.nanoseconds, at + 20);
    bytes.writeUInt32LE(mtime.seconds >>> 0, at + 24);
    bytes.writeInt32LE(Math.floor(mtime.seconds / 2 ** 32), at + 28);
    bytes.writeUInt32LE(this.#contentStart, at + 32);
    bytes.writeUInt32LE(this.#contentUsed - this.#contentStart, at + 36);
    const end = at + HEAD_BYTES + bytes.write(name, at + HEAD_BYTES, 'latin1');
    this.#used = end - (end % ALIGNMENT) + ALIGNMENT;
    bytes.fill(0, end, this.#used);
    const start = this.#contentStart;
    this.#contentStart = this.#contentUsed;
    return start;
  }

  /** A view of what was written; after `run` until the next write. */
  contentAt(start: number, length: number): Buffer {
    return this.#content.subarray(start, start + length);
  }

  /** Makes them all and is empty afterwards. How many were made: the rest was not tried. */
  run(): number {
    const entries = this.#entries.subarray(0, this.#used);
    const content = this.#content.subarray(0, this.#contentUsed);
    this.#used = 0;
    this.#contentUsed = 0;
    this.#contentStart = 0;
    return entries.length === 0 ? 0 : this.#make(entries, content);
  }
}
