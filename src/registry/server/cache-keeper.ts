import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import type { ContentName } from './content-name.ts';
import { namesOfPushed } from './repository-index.ts';
import type { RepositoryStore } from './repository-store.ts';

export interface CacheKeeperOptions {
  readonly store: RepositoryStore;
  readonly log: Log;
  readonly nowMs: () => number;
  /** What the contents may have together. */
  readonly maxBytes: number;
  /** Bytes that have come and are not in the store yet. */
  readonly arrivingBytes: () => number;
}

interface Place {
  readonly repo: string;
  readonly digest: ContentName;
}

interface Candidate extends Place {
  readonly atMs: number;
}

/** So much of the bound is left when it was reached: not every fill has to look for something to remove. */
const KEPT_SHARE = 0.9;

/**
 * Keeps a cache within its bound: manifests that nobody asked for the longest go first, with the contents
 * that no other one names. What was asked for within `LIMITS.registryCacheGraceMs`, and what is being given
 * out, stays, whatever the bound says: a pull asks for a manifest first and for its blobs later.
 */
export class CacheKeeper {
  readonly #options: CacheKeeperOptions;
  readonly #startedMs: number;
  /** Blobs that are being given out or fetched, and how often. */
  readonly #serving = new Map<string, { readonly place: Place; count: number }>();
  /** Manifests whose use the journal does not know yet. */
  readonly #unsaved = new Map<string, Place>();
  #trimming: Promise<void> | null = null;
  #notBeforeMs = 0;

  constructor(options: CacheKeeperOptions) {
    this.#options = options;
    this.#startedMs = options.nowMs();
  }

  /** Somebody asked for the manifest; those that it names are used with it. */
  manifestUsed(repo: string, digest: ContentName): void {
    const repository = this.#options.store.find(repo);
    const entry = repository?.manifests.get(digest);
    if (repository === undefined || entry === undefined) return;
    this.#note(repo, digest);
    for (const name of entry.names) if (repository.manifests.has(name)) this.#note(repo, name);
  }

  /** A blob is being given out or fetched until the returned function is called. */
  serve(repo: string, digest: ContentName): () => void {
    const key = `${repo} ${digest}`;
    const known = this.#serving.get(key) ?? { place: { repo, digest }, count: 0 };
    known.count++;
    this.#serving.set(key, known);
    this.#blobUsed(repo, digest);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#blobUsed(repo, digest);
      known.count--;
      if (known.count === 0) this.#serving.delete(key);
    };
  }

  /** Removes what is too much, if there is too much. */
  async trim(): Promise<void> {
    const { nowMs } = this.#options;
    if (this.#trimming === null && nowMs() < this.#notBeforeMs) return;
    this.#trimming ??= this.#trim().finally(() => {
      this.#trimming = null;
    });
    await this.#trimming;
  }

  /** Tells the journal what was used since the last time. */
  async save(): Promise<void> {
    const used = [...this.#unsaved.values()];
    this.#unsaved.clear();
    if (used.length > 0) await this.#options.store.noteUse(used);
  }

  /** Waits for what is being removed, and saves. */
  async close(): Promise<void> {
    await this.#trimming?.catch(() => undefined);
    await this.save();
  }

  #note(repo: string, digest: ContentName): void {
    this.#options.store.find(repo)?.usedMs.set(digest, this.#options.nowMs());
    this.#unsaved.set(`${repo} ${digest}`, { repo, digest });
  }

  #blobUsed(repo: string, digest: ContentName): void {
    for (const manifest of this.#options.store.find(repo)?.promised.get(digest)?.by ?? [])
      this.#note(repo, manifest);
  }

  async #trim(): Promise<void> {
    const { store, log, nowMs, maxBytes, arrivingBytes } = this.#options;
    const before = store.index.usedBytes;
    const isWithin = (bytes: number): boolean => store.index.usedBytes + arrivingBytes() <= bytes;
    if (isWithin(maxBytes)) return;
    const graceMs = LIMITS.registryCacheGraceMs;
    let evicted = 0;
    for (const { repo, digest } of this.#candidates()) {
      if (isWithin(maxBytes * KEPT_SHARE)) break;
      // Somebody may have asked meanwhile.
      if (!this.#isIdle(repo, digest)) continue;
      await store.evict(repo, digest, graceMs);
      evicted++;
    }
    if (!isWithin(maxBytes)) this.#notBeforeMs = nowMs() + LIMITS.registryCacheRetryMs;
    if (evicted > 0)
      log.info('the cache was full', {
        evictedManifests: evicted,
        bytesBefore: before,
        bytes: store.index.usedBytes,
        maxBytes,
      });
  }

  /** The longest unused first. What was pushed is nowhere else. */
  #candidates(): readonly Candidate[] {
    const { store, nowMs } = this.#options;
    // Who asked before this server was started may go on with what it was given.
    if (nowMs() - this.#startedMs < LIMITS.registryCacheGraceMs) return [];
    const found: Candidate[] = [];
    for (const repo of store.index.names()) {
      const repository = store.find(repo);
      if (repository === undefined) continue;
      const pushed = namesOfPushed(repository);
      for (const [digest, { isPushed }] of repository.manifests)
        if (!isPushed && !pushed.has(digest) && this.#isIdle(repo, digest))
          found.push({ repo, digest, atMs: repository.usedMs.get(digest) ?? 0 });
    }
    return found.sort((a, b) => a.atMs - b.atMs);
  }

  #isIdle(repo: string, digest: ContentName): boolean {
    const { store, nowMs } = this.#options;
    const repository = store.find(repo);
    const usedMs = repository?.usedMs.get(digest) ?? 0;
    if (usedMs > nowMs() - LIMITS.registryCacheGraceMs) return false;
    for (const { place } of this.#serving.values())
      if (place.repo === repo && repository?.promised.get(place.digest)?.by.has(digest) === true)
        return false;
    return true;
  }
}
