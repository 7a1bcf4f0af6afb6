import { isJsonObject, type JsonObject, type JsonValue } from '#base/json.ts';
import { property, textProperty } from '#oci/descriptor.ts';
import { isDigest, type Digest } from '#oci/digest.ts';
import { isContentName, type ContentName } from './content-name.ts';

/*
 * What is in which repository, as the journal's records say it. Bytes are found by `content`, their sha256;
 * `digest` is how clients name them.
 */

export interface BlobEntry {
  readonly content: Digest;
  readonly sizeBytes: number;
}

export interface ManifestEntry {
  readonly content: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
  readonly artifactType: string;
  readonly subject: ContentName | null;
  /** Blobs and manifests that it names. */
  readonly names: readonly ContentName[];
  /** Sizes of the blobs, for a cache that has to fetch them; empty otherwise. */
  readonly sizes: readonly number[];
  /** Somebody pushed it here: a cache does not let it go, whatever it has fetched since. */
  readonly isPushed: boolean;
}

/** A content that manifests of a cache name, known before it is here. */
export interface Promised {
  sizeBytes: number;
  readonly by: Set<ContentName>;
}

export interface RepositoryEntry {
  readonly blobs: Map<ContentName, BlobEntry>;
  readonly manifests: Map<ContentName, ManifestEntry>;
  readonly tags: Map<string, ContentName>;
  /** What is derived from the manifests: contents that those of a cache name, and who points at whom. */
  readonly promised: Map<ContentName, Promised>;
  readonly referrers: Map<ContentName, Set<ContentName>>;
  /** When manifests of a cache were last asked for. */
  readonly usedMs: Map<ContentName, number>;
}

export type IndexRecord =
  | { readonly op: 'blob'; readonly repo: string; readonly digest: ContentName; readonly entry: BlobEntry }
  | { readonly op: 'unblob'; readonly repo: string; readonly digest: ContentName }
  | {
      readonly op: 'manifest';
      readonly repo: string;
      readonly digest: ContentName;
      readonly entry: ManifestEntry;
    }
  | { readonly op: 'unmanifest'; readonly repo: string; readonly digest: ContentName }
  | { readonly op: 'used'; readonly repo: string; readonly digest: ContentName; readonly atMs: number }
  | { readonly op: 'tag'; readonly repo: string; readonly tag: string; readonly digest: ContentName }
  | { readonly op: 'untag'; readonly repo: string; readonly tag: string };

export function encodeIndexRecord(record: IndexRecord): JsonValue {
  return { ...record } as unknown as JsonValue;
}

function blobEntry(value: JsonObject): BlobEntry | null {
  const content = property(value, 'content');
  const sizeBytes = property(value, 'sizeBytes');
  return isDigest(content) && typeof sizeBytes === 'number' ? { content, sizeBytes } : null;
}

function manifestEntry(value: JsonObject): ManifestEntry | null {
  const blob = blobEntry(value);
  if (blob === null) return null;
  const subject = property(value, 'subject');
  const [names, given] = [property(value, 'names'), property(value, 'sizes')];
  const sizes = Array.isArray(given) ? given.filter((size) => typeof size === 'number') : [];
  // Records from before there was this mark: of those with names, a cache's alone have sizes.
  const isPushed = property(value, 'isPushed') ?? sizes.length === 0;
  return {
    ...blob,
    mediaType: textProperty(value, 'mediaType') ?? '',
    artifactType: textProperty(value, 'artifactType') ?? '',
    subject: isContentName(subject) ? subject : null,
    names: Array.isArray(names) ? names.filter(isContentName) : [],
    sizes,
    isPushed: isPushed !== false,
  };
}

/** Null: not a record of this version. */
export function decodeIndexRecord(value: JsonValue): IndexRecord | null {
  if (!isJsonObject(value)) return null;
  const [op, repo] = [textProperty(value, 'op'), textProperty(value, 'repo')];
  const [digest, tag] = [property(value, 'digest'), textProperty(value, 'tag')];
  if (repo === undefined) return null;
  if (op === 'untag') return tag === undefined ? null : { op, repo, tag };
  if (!isContentName(digest)) return null;
  if (op === 'used') {
    const atMs = property(value, 'atMs');
    return typeof atMs === 'number' ? { op, repo, digest, atMs } : null;
  }
  const given = property(value, 'entry');
  if (op === 'unblob' || op === 'unmanifest') return { op, repo, digest };
  if (op === 'tag') return tag === undefined ? null : { op, repo, tag, digest };
  if (!isJsonObject(given)) return null;
  if (op === 'blob') {
    const entry = blobEntry(given);
    return entry === null ? null : { op, repo, digest, entry };
  }
  const entry = op === 'manifest' ? manifestEntry(given) : null;
  return entry === null ? null : { op: 'manifest', repo, digest, entry };
}

/** The state that the records make. */
export class RepositoryIndex {
  readonly #repositories = new Map<string, RepositoryEntry>();
  /** How many entries, in all repositories, need a content. */
  readonly #users = new Map<Digest, number>();
  #usedBytes = 0;
  #names: readonly string[] | null = null;
  readonly #tagLists = new Map<string, readonly string[]>();

  get(name: string): RepositoryEntry | undefined {
    return this.#repositories.get(name);
  }

  /** Sorted. */
  names(): readonly string[] {
    return (this.#names ??= [...this.#repositories.keys()].sort());
  }

  /** Sorted. */
  tags(name: string): readonly string[] {
    const known = this.#tagLists.get(name);
    if (known !== undefined) return known;
    const tags = [...(this.#repositories.get(name)?.tags.keys() ?? [])].sort();
    if (this.#repositories.has(name)) this.#tagLists.set(name, tags);
    return tags;
  }

  /** Whether any repository has something whose bytes these are. */
  isUsed(content: Digest): boolean {
    return this.#users.has(content);
  }

  /** Bytes of all contents that something names, each counted once. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** A blob that any repository has under this name. */
  findBlob(digest: ContentName): BlobEntry | undefined {
    for (const repository of this.#repositories.values()) {
      const entry = repository.blobs.get(digest);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  apply(record: IndexRecord): void {
    const repository = this.#repositories.get(record.repo) ?? this.#added(record.repo);
    if (record.op !== 'blob' && record.op !== 'unblob') this.#tagLists.delete(record.repo);
    switch (record.op) {
      case 'blob':
        this.#put(repository.blobs, record.digest, record.entry);
        break;
      case 'manifest':
        forgetNames(repository, record.digest);
        this.#put(repository.manifests, record.digest, record.entry);
        noteNames(repository, record.digest, record.entry);
        break;
      case 'unblob':
        this.#drop(repository.blobs, record.digest);
        break;
      case 'unmanifest':
        forgetNames(repository, record.digest);
        repository.usedMs.delete(record.digest);
        this.#drop(repository.manifests, record.digest);
        for (const [tag, digest] of repository.tags)
          if (digest === record.digest) repository.tags.delete(tag);
        break;
      case 'used':
        if (repository.manifests.has(record.digest)) repository.usedMs.set(record.digest, record.atMs);
        break;
      case 'tag':
        repository.tags.set(record.tag, record.digest);
        break;
      case 'untag':
        repository.tags.delete(record.tag);
        break;
    }
    if (repository.blobs.size + repository.manifests.size + repository.tags.size > 0) return;
    this.#repositories.delete(record.repo);
    this.#tagLists.delete(record.repo);
    this.#names = null;
  }

  /** The fewest records that make this state. */
  *records(): Generator<IndexRecord> {
    for (const [repo, { blobs, manifests, tags, usedMs }] of this.#repositories) {
      for (const [digest, entry] of blobs) yield { op: 'blob', repo, digest, entry };
      for (const [digest, entry] of manifests) yield { op: 'manifest', repo, digest, entry };
      for (const [tag, digest] of tags) yield { op: 'tag', repo, tag, digest };
      for (const [digest, atMs] of usedMs) yield { op: 'used', repo, digest, atMs };
    }
  }

  get recordCount(): number {
    let count = 0;
    for (const { blobs, manifests, tags, usedMs } of this.#repositories.values())
      count += blobs.size + manifests.size + tags.size + usedMs.size;
    return count;
  }

  #added(name: string): RepositoryEntry {
    const repository: RepositoryEntry = {
      blobs: new Map(),
      manifests: new Map(),
      tags: new Map(),
      promised: new Map(),
      referrers: new Map(),
      usedMs: new Map(),
    };
    this.#repositories.set(name, repository);
    this.#names = null;
    return repository;
  }

  #put<Entry extends BlobEntry>(map: Map<ContentName, Entry>, digest: ContentName, entry: Entry): void {
    this.#drop(map, digest);
    map.set(digest, entry);
    const users = this.#users.get(entry.content) ?? 0;
    if (users === 0) this.#usedBytes += entry.sizeBytes;
    this.#users.set(entry.content, users + 1);
  }

  #drop<Entry extends BlobEntry>(map: Map<ContentName, Entry>, digest: ContentName): void {
    const entry = map.get(digest);
    if (entry === undefined) return;
    map.delete(digest);
    const left = (this.#users.get(entry.content) ?? 1) - 1;
    if (left > 0) return void this.#users.set(entry.content, left);
    this.#users.delete(entry.content);
    this.#usedBytes -= entry.sizeBytes;
  }
}

/** What manifests that were pushed name: a cache keeps it with them. */
export function namesOfPushed({ manifests }: RepositoryEntry): ReadonlySet<ContentName> {
  const names = new Set<ContentName>();
  for (const entry of manifests.values()) if (entry.isPushed) for (const name of entry.names) names.add(name);
  return names;
}

function noteNames(repository: RepositoryEntry, digest: ContentName, entry: ManifestEntry): void {
  const { promised, referrers } = repository;
  for (const [at, sizeBytes] of entry.sizes.entries()) {
    const name = entry.names[at];
    if (name === undefined) break;
    const known = promised.get(name);
    if (known === undefined) promised.set(name, { sizeBytes, by: new Set([digest]) });
    else {
      known.sizeBytes = sizeBytes;
      known.by.add(digest);
    }
  }
  if (entry.subject === null) return;
  const pointing = referrers.get(entry.subject);
  if (pointing === undefined) referrers.set(entry.subject, new Set([digest]));
  else pointing.add(digest);
}

function forgetNames({ manifests, promised, referrers }: RepositoryEntry, digest: ContentName): void {
  const entry = manifests.get(digest);
  if (entry === undefined) return;
  for (const name of entry.sizes.length === 0 ? [] : entry.names) {
    const known = promised.get(name);
    known?.by.delete(digest);
    if (known?.by.size === 0) promised.delete(name);
  }
  if (entry.subject === null) return;
  const pointing = referrers.get(entry.subject);
  pointing?.delete(digest);
  if (pointing?.size === 0) referrers.delete(entry.subject);
}
