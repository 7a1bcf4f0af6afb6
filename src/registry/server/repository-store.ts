import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { Digest } from '#oci/digest.ts';
import type { BlobUpload, RegistryBlobs, StoredContent } from '../storage-port.ts';
import { expectedOf, type ContentName } from './content-name.ts';
import { Journal } from './journal.ts';
import {
  decodeIndexRecord,
  encodeIndexRecord,
  namesOfPushed,
  RepositoryIndex,
  type BlobEntry,
  type IndexRecord,
  type ManifestEntry,
  type RepositoryEntry,
} from './repository-index.ts';
import { chunksOf } from '../transport/chunks.ts';

export interface StoreOptions {
  readonly directory: string;
  readonly blobs: RegistryBlobs;
  readonly log: Log;
  readonly nowMs: () => number;
}

export interface ManifestPut {
  readonly repo: string;
  readonly digest: ContentName;
  readonly entry: ManifestEntry;
  readonly tags: readonly string[];
}

/** A journal is written anew when it is longer than this and most of it is void. */
const JOURNAL_LINES_MIN = 10_000;

/**
 * What is in which repository, and the bytes behind it. A name appears when its bytes and its record are
 * durable. Contents that nothing names are removed by `collect`: those somebody asked about lately, or is
 * about to name (`hold`), stay.
 */
export class RepositoryStore {
  readonly index = new RepositoryIndex();
  readonly #options: StoreOptions;
  readonly #journal: Journal;
  readonly #contents = new KeyedMutex();
  readonly #asked = new Map<Digest, number>();
  readonly #held = new Map<Digest, number>();
  readonly #startedMs: number;

  private constructor(options: StoreOptions, journal: (take: RepositoryIndex) => Journal) {
    this.#options = options;
    this.#journal = journal(this.index);
    this.#startedMs = options.nowMs();
  }

  static async open(options: StoreOptions): Promise<RepositoryStore> {
    const records: IndexRecord[] = [];
    const journal = await Journal.open(
      join(options.directory, 'repositories.journal'),
      (value) => {
        const record = decodeIndexRecord(value);
        if (record === null)
          throw new EngineError('dataLoss', 'the index of repositories is of another version');
        records.push(record);
      },
      options.log,
    );
    return new RepositoryStore(options, (index) => {
      for (const record of records) index.apply(record);
      return journal;
    });
  }

  get blobs(): RegistryBlobs {
    return this.#options.blobs;
  }

  find(repo: string): RepositoryEntry | undefined {
    return this.index.get(repo);
  }

  /** Somebody wants this content: it is not garbage for a while. */
  touch(content: Digest): void {
    this.#asked.set(content, this.#options.nowMs());
  }

  /** Until the returned function is called these contents are not garbage. */
  hold(contents: readonly Digest[]): () => void {
    for (const content of contents) this.#held.set(content, (this.#held.get(content) ?? 0) + 1);
    return () => {
      for (const content of contents) {
        const left = (this.#held.get(content) ?? 1) - 1;
        if (left === 0) this.#held.delete(content);
        else this.#held.set(content, left);
      }
    };
  }

  /** Publishes an upload and names it. Errors: `invalidArgument` when it is not `digest`. */
  async commitBlob(repo: string, digest: ContentName, upload: BlobUpload): Promise<void> {
    await this.#publish(upload, digest, ({ digest: content, sizeBytes }) =>
      this.#write([{ op: 'blob', repo, digest, entry: { content, sizeBytes } }]),
    );
    await upload.cancel();
  }

  async linkBlob(repo: string, digest: ContentName, entry: BlobEntry): Promise<void> {
    await this.#write([{ op: 'blob', repo, digest, entry }]);
  }

  /** The manifest's bytes, its record and its tags, all or nothing. */
  async putManifest(put: ManifestPut, bytes: Uint8Array): Promise<void> {
    const { repo, digest, tags } = put;
    const known = this.find(repo)?.manifests.get(digest);
    const entry = known?.isPushed === true ? { ...put.entry, isPushed: true } : put.entry;
    const records: IndexRecord[] = [
      { op: 'manifest', repo, digest, entry },
      ...tags.map((tag): IndexRecord => ({ op: 'tag', repo, tag, digest })),
    ];
    const isKept = known !== undefined && (await this.blobs.has(known.content));
    // A cache may have let it go meanwhile.
    const isSame = isKept && this.find(repo)?.manifests.get(digest) === known;
    const says = ({ sizes, isPushed }: ManifestEntry): string => `${sizes.length} ${isPushed}`;
    if (isSame) return this.#write(says(known) === says(entry) ? records.slice(1) : records);
    const upload = await this.blobs.begin(randomUUID());
    try {
      await upload.append(chunksOf(bytes));
      await this.#publish(upload, digest, () => this.#write(records));
    } finally {
      await upload.cancel();
    }
  }

  async deleteTag(repo: string, tag: string): Promise<void> {
    await this.#write([{ op: 'untag', repo, tag }]);
  }

  async deleteManifest(repo: string, digest: ContentName): Promise<void> {
    await this.#write([{ op: 'unmanifest', repo, digest }]);
  }

  async deleteBlob(repo: string, digest: ContentName): Promise<void> {
    await this.#write([{ op: 'unblob', repo, digest }]);
  }

  /** Removes names of blobs that no manifest needs, then contents without a name. */
  async collect(graceMs: number): Promise<void> {
    for (const repo of this.index.names()) {
      const unneeded = this.#unneededBlobs(repo, graceMs);
      // Gone from memory before anybody can ask again: whoever asked before was noticed. After a crash they
      // are back, and are collected later.
      for (const record of unneeded) this.index.apply(record);
      if (unneeded.length > 0) await this.#write(unneeded);
      else await new Promise<void>((resolve) => setImmediate(resolve));
    }
    for (const content of await this.blobs.list()) await this.#removeGarbage(content, graceMs);
    const before = this.#options.nowMs() - graceMs;
    for (const [content, atMs] of this.#asked) if (atMs < before) this.#asked.delete(content);
    const { lineCount } = this.#journal;
    if (lineCount > JOURNAL_LINES_MIN && lineCount > 2 * this.index.recordCount) await this.compact();
  }

  /**
   * Lets a manifest of a cache go, and with it what nothing else names: contents that somebody asked about
   * within `graceMs` stay for `collect`.
   */
  async evict(repo: string, digest: ContentName, graceMs: number): Promise<void> {
    const before = this.find(repo);
    const entry = before?.manifests.get(digest);
    if (before === undefined || entry === undefined) return;
    const records: IndexRecord[] = [{ op: 'unmanifest', repo, digest }];
    const contents = [entry.content];
    // Gone from memory before anybody can ask again.
    this.index.apply({ op: 'unmanifest', repo, digest });
    const pushed = namesOfPushed(before);
    for (const name of entry.names) {
      const blob = before.blobs.get(name);
      if (blob === undefined || before.promised.has(name) || pushed.has(name)) continue;
      if (!this.#isQuiet(blob.content, graceMs)) continue;
      const record: IndexRecord = { op: 'unblob', repo, digest: name };
      this.index.apply(record);
      records.push(record);
      contents.push(blob.content);
    }
    await this.#write(records);
    for (const content of contents) await this.#removeGarbage(content, graceMs);
  }

  /** Remembers when these manifests of a cache were last asked for. */
  async noteUse(used: Iterable<{ readonly repo: string; readonly digest: ContentName }>): Promise<void> {
    const records: IndexRecord[] = [];
    for (const { repo, digest } of used) {
      const atMs = this.find(repo)?.usedMs.get(digest);
      if (atMs !== undefined) records.push({ op: 'used', repo, digest, atMs });
    }
    await this.#write(records);
  }

  /** Writes the journal anew, without what is void. */
  async compact(): Promise<void> {
    await this.#journal.rewrite(() => this.index.records().map(encodeIndexRecord));
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }

  /** The content cannot be removed between its publication and its name. */
  async #publish(
    upload: BlobUpload,
    name: ContentName,
    link: (stored: StoredContent) => Promise<void>,
  ): Promise<void> {
    const content = await upload.digest();
    await this.#contents.run(content, async () => {
      const stored = await upload.commit(expectedOf(name));
      this.touch(content);
      await link(stored);
    });
  }

  async #write(records: readonly IndexRecord[]): Promise<void> {
    if (records.length === 0) return;
    await this.#journal.append(records.map(encodeIndexRecord), () => {
      for (const record of records) this.index.apply(record);
    });
  }

  #isQuiet(content: Digest, graceMs: number): boolean {
    if (this.#held.has(content)) return false;
    return (this.#asked.get(content) ?? this.#startedMs) <= this.#options.nowMs() - graceMs;
  }

  async #removeGarbage(content: Digest, graceMs: number): Promise<void> {
    if (!this.#isGarbage(content, graceMs)) return;
    await this.#contents.run(content, async () => {
      if (this.#isGarbage(content, graceMs)) await this.blobs.remove(content);
    });
  }

  #isGarbage(content: Digest, graceMs: number): boolean {
    return !this.index.isUsed(content) && this.#isQuiet(content, graceMs);
  }

  #unneededBlobs(repo: string, graceMs: number): IndexRecord[] {
    const repository = this.index.get(repo);
    if (repository === undefined) return [];
    const named = new Set<ContentName>();
    for (const manifest of repository.manifests.values()) for (const name of manifest.names) named.add(name);
    return [...repository.blobs]
      .filter(([digest, { content }]) => !named.has(digest) && this.#isQuiet(content, graceMs))
      .map(([digest]) => ({ op: 'unblob', repo, digest }));
  }
}
