import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { errorMessage, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import { isDigest, type Digest } from '#oci/digest.ts';
import type { BlobUpload, ByteRange } from '../storage-port.ts';
import type { UpstreamRepository } from '../server-ports.ts';
import { CacheKeeper } from './cache-keeper.ts';
import type { ContentName } from './content-name.ts';
import { Fault, manifestUnknown, STATUS } from './fault.ts';
import { manifestEntry } from './manifest-entry.ts';
import { parseManifestDocument } from './manifest-document.ts';
import { passBlob } from './passing-blob.ts';
import type { RepositoryStore } from './repository-store.ts';
import type { ManifestReference } from './route.ts';

/** Bytes that can be given out: those of the store, or those that are arriving. */
export interface BlobSource {
  readonly sizeBytes: number;
  open(range: ByteRange): Readable;
}

const READ_BYTES = 1024 * 1024;

export interface PullThroughOptions {
  readonly store: RepositoryStore;
  readonly upstream: (path: string) => UpstreamRepository;
  readonly log: Log;
  readonly nowMs: () => number;
  /** See `CacheKeeperOptions`. */
  readonly maxBytes?: number;
  /** How long somebody waits for the other registry when there is an answer here. */
  readonly patienceMs?: number;
}

/** A blob that is being fetched: its bytes are given out as they arrive. */
interface Arrival {
  readonly sizeBytes: number;
  upload: BlobUpload | null;
  outcome: 'arriving' | 'here' | 'failed';
  /** Resolves at the next change of any of it. */
  changed: PromiseWithResolvers<void>;
}

/**
 * The cache in front of another registry. A tag is asked for each time, and served from here when the other
 * registry does not answer; manifests and blobs by digest are fetched once, whoever asks for them.
 */
export class PullThrough {
  readonly #options: PullThroughOptions;
  readonly #keeper: CacheKeeper;
  readonly #arrivals = new Map<ContentName & Digest, Arrival>();
  readonly #fetches = new Map<string, Promise<void>>();
  /** Who points at what, while the upstream is asked for it. */
  readonly #askings = new Map<string, Promise<readonly Descriptor[]>>();
  readonly #fresh = new Map<string, number>();
  readonly #stop = new AbortController();

  constructor(options: PullThroughOptions) {
    this.#options = options;
    const { store, log, nowMs, maxBytes = LIMITS.registryCacheBytes } = options;
    this.#keeper = new CacheKeeper({
      store,
      log,
      nowMs,
      maxBytes,
      arrivingBytes: () => this.#arrivingBytes(),
    });
  }

  /** Sees to it that the manifest is in the store, if it is anywhere. Errors: 404, 502. */
  async manifest(repo: string, reference: ManifestReference): Promise<void> {
    await this.#seeTo(repo, reference);
    const digest =
      reference.kind === 'digest'
        ? reference.digest
        : this.#options.store.find(repo)?.tags.get(reference.tag);
    if (digest !== undefined) this.#keeper.manifestUsed(repo, digest);
  }

  /** Null: no manifest that came through here names it. One that is larger than the cache passes by. */
  blob(repo: string, digest: ContentName): BlobSource | null {
    const sizeBytes = this.#options.store.find(repo)?.promised.get(digest)?.sizeBytes;
    if (sizeBytes === undefined || !isDigest(digest)) return null;
    const { upstream, maxBytes = LIMITS.registryCacheBytes } = this.#options;
    const { signal } = this.#stop;
    return {
      sizeBytes,
      open: (range) => {
        if (sizeBytes > maxBytes)
          return bytesOf(passBlob({ upstream: upstream(repo), digest, sizeBytes, signal }, range));
        const arrival = this.#arrivals.get(digest) ?? this.#fetchBlob(repo, digest, sizeBytes);
        return bytesOf(this.#bytes(arrival, digest, range));
      },
    };
  }

  /** What points at a manifest there; nothing when that registry does not say it soon enough. */
  async referrers(repo: string, digest: ContentName): Promise<readonly Descriptor[]> {
    if (!isDigest(digest)) return [];
    const key = `${repo} ${digest}`;
    let asking = this.#askings.get(key);
    if (asking === undefined) {
      asking = this.#askReferrers(repo, digest).finally(() => this.#askings.delete(key));
      this.#askings.set(key, asking);
    }
    const found = await this.#atMost(asking);
    return found === 'late' ? [] : found;
  }

  /** A blob is being given out: what names it stays until the returned function is called. */
  serve(repo: string, digest: ContentName): () => void {
    return this.#keeper.serve(repo, digest);
  }

  /** Removes what the bound leaves no room for. */
  async trim(): Promise<void> {
    await this.#keeper.trim();
    await this.#keeper.save();
  }

  /** Ends what is being fetched. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the registry is shutting down'));
    while (this.#arrivals.size > 0) await [...this.#arrivals.values()][0]?.changed.promise;
    await Promise.allSettled([...this.#fetches.values(), ...this.#askings.values()]);
    await this.#keeper.close();
  }

  async #askReferrers(repo: string, digest: Digest): Promise<readonly Descriptor[]> {
    const { upstream, log } = this.#options;
    try {
      return await upstream(repo).referrers(digest, this.#stop.signal);
    } catch (error) {
      const fields = { repo, digest, error: errorMessage(error) };
      log.warn('the upstream registry did not say what points at a manifest', fields);
      return [];
    }
  }

  async #seeTo(repo: string, reference: ManifestReference): Promise<void> {
    const { nowMs } = this.#options;
    const text = reference.kind === 'tag' ? reference.tag : reference.digest;
    const key = `${repo}:${text}`;
    const isHere = await this.#isHere(repo, reference);
    if (reference.kind === 'digest' && isHere) return;
    const isKnown = reference.kind === 'tag' && isHere;
    const askedMs = this.#fresh.get(key) ?? Number.NEGATIVE_INFINITY;
    if (isKnown && nowMs() - askedMs < LIMITS.registryTagFreshMs) return;
    let fetching = this.#fetches.get(key);
    if (fetching === undefined) {
      fetching = this.#fetchManifest(repo, reference)
        .then(() => (reference.kind === 'tag' ? this.#remember(key) : undefined))
        .finally(() => this.#fetches.delete(key));
      this.#fetches.set(key, fetching);
    }
    if (!isKnown) return fetching;
    // For a while nobody else waits for a registry that is slow.
    if ((await this.#atMost(fetching)) === 'late') this.#remember(key);
  }

  /** Name and bytes: what a disk lost comes again. */
  async #isHere(repo: string, reference: ManifestReference): Promise<boolean> {
    const { store } = this.#options;
    const known = store.find(repo);
    const digest = reference.kind === 'tag' ? known?.tags.get(reference.tag) : reference.digest;
    const entry = digest === undefined ? undefined : known?.manifests.get(digest);
    return entry !== undefined && (await store.blobs.has(entry.content));
  }

  /** What is here already is not held back by a registry that is slow to answer. */
  async #atMost<Answer>(fetching: Promise<Answer>): Promise<'late' | Answer> {
    const { patienceMs = LIMITS.registryCachePatienceMs } = this.#options;
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), patienceMs);
    // Whoever has not waited for it hears nothing of its end.
    fetching.catch(() => undefined);
    try {
      return await Promise.race([fetching, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What has come: how much more will come is only what somebody says. */
  #arrivingBytes(): number {
    let sum = 0;
    for (const [digest, { sizeBytes, upload }] of this.#arrivals)
      if (!this.#options.store.index.isUsed(digest)) sum += Math.min(sizeBytes, upload?.sizeBytes ?? 0);
    return sum;
  }

  #remember(key: string): void {
    this.#fresh.delete(key);
    this.#fresh.set(key, this.#options.nowMs());
    const oldest = this.#fresh.keys().next();
    if (this.#fresh.size > LIMITS.registryFreshTags && oldest.done === false)
      this.#fresh.delete(oldest.value);
  }

  async #fetchManifest(repo: string, reference: ManifestReference): Promise<void> {
    const { store, upstream, log } = this.#options;
    const text = reference.kind === 'tag' ? reference.tag : reference.digest;
    const tags = reference.kind === 'tag' ? [reference.tag] : [];
    try {
      const source = upstream(repo);
      if (reference.kind === 'tag') {
        const { digest } = await source.head(text);
        const isSame = store.find(repo)?.tags.get(text) === (digest as string);
        if (isSame && (await this.#isHere(repo, reference))) return;
      }
      const { bytes, mediaType, digest } = await source.manifest(text);
      const document = parseManifestDocument(bytes, mediaType);
      const sizes = document.names.map(({ sizeBytes }) => sizeBytes);
      const entry = { ...manifestEntry(bytes, document), sizes, isPushed: false };
      await store.putManifest({ repo, digest: digest as string as ContentName, entry, tags }, bytes);
    } catch (error) {
      await this.#withoutUpstream(repo, reference, error);
      log.warn('the upstream registry did not give a manifest', {
        repo,
        reference: text,
        error: errorMessage(error),
      });
    }
  }

  /** A tag that was deleted there goes here too; else what is here, or was pushed, is better than nothing. */
  async #withoutUpstream(repo: string, reference: ManifestReference, error: unknown): Promise<void> {
    const { store } = this.#options;
    const text = reference.kind === 'tag' ? reference.tag : reference.digest;
    const known = store.find(repo);
    const tagged = reference.kind === 'tag' ? known?.tags.get(reference.tag) : undefined;
    const isHere = tagged !== undefined && (await this.#isHere(repo, reference));
    if (isHere && known?.manifests.get(tagged)?.isPushed === true) return;
    if (isEngineError(error, 'notFound')) {
      if (tagged !== undefined) await store.deleteTag(repo, text);
      throw manifestUnknown(text);
    }
    if (isHere) return;
    throw new Fault(STATUS.badGateway, 'UNAVAILABLE', {
      message: `upstream registry: ${errorMessage(error)}`,
    });
  }

  #fetchBlob(repo: string, digest: ContentName & Digest, sizeBytes: number): Arrival {
    const changed = Promise.withResolvers<void>();
    const arrival: Arrival = { sizeBytes, upload: null, outcome: 'arriving', changed };
    this.#arrivals.set(digest, arrival);
    const served = this.#keeper.serve(repo, digest);
    const end = (outcome: 'here' | 'failed'): void => {
      arrival.outcome = outcome;
      this.#arrivals.delete(digest);
      served();
      arrival.changed.resolve();
      if (!this.#stop.signal.aborted) this.#makeRoom();
    };
    this.#makeRoom();
    this.#download(repo, digest, arrival).then(
      () => end('here'),
      (error: unknown) => {
        const fields = { repo, digest, error: errorMessage(error) };
        this.#options.log.warn('a blob could not be fetched from the upstream registry', fields);
        end('failed');
      },
    );
    return arrival;
  }

  #makeRoom(): void {
    this.#keeper.trim().catch((error: unknown) => {
      this.#options.log.error('the cache could not be made smaller', { error: errorMessage(error) });
    });
  }

  async #download(repo: string, digest: ContentName & Digest, arrival: Arrival): Promise<void> {
    const { store, upstream } = this.#options;
    const { sizeBytes } = arrival;
    const upload = await store.blobs.begin(randomUUID());
    try {
      const from = { offset: 0, signal: this.#stop.signal };
      const body = await upstream(repo).blob({ digest, sizeBytes }, from);
      arrival.upload = upload;
      await upload.append(announced(body.chunks, arrival));
      if (upload.sizeBytes !== sizeBytes) throw new Error(`${upload.sizeBytes} of ${sizeBytes} bytes came`);
      arrival.upload = null;
      await store.commitBlob(repo, digest, upload);
    } catch (error) {
      arrival.upload = null;
      await upload.cancel();
      throw error;
    }
  }

  async *#bytes(arrival: Arrival, digest: ContentName & Digest, range: ByteRange): AsyncGenerator<Buffer> {
    for (let at = range.start; at <= range.end; ) {
      if (arrival.outcome === 'failed') throw new Error('the upstream registry did not give the blob');
      if (arrival.outcome === 'here') {
        yield* this.#options.store.blobs.open(digest, { start: at, end: range.end }) as AsyncIterable<Buffer>;
        return;
      }
      const { upload, changed } = arrival;
      // The last byte waits until all of them are known to be right: no wrong blob is ever whole.
      const ready = Math.min(upload?.sizeBytes ?? 0, arrival.sizeBytes - 1);
      if (upload === null || ready <= at) {
        await changed.promise;
        continue;
      }
      const end = Math.min(range.end, ready - 1, at + READ_BYTES - 1);
      const bytes = await upload.read({ start: at, end }).catch(() => null);
      // It was published under our hands: it is read where it is now.
      if (bytes === null || bytes.length === 0) {
        if (arrival.outcome === 'arriving') await arrival.changed.promise;
        continue;
      }
      at += bytes.length;
      yield bytes;
    }
  }
}

function bytesOf(chunks: AsyncIterable<Buffer>): Readable {
  return Readable.from(chunks, { objectMode: false });
}

/** Tells the readers after each chunk that was written. */
async function* announced(chunks: AsyncIterable<Buffer>, arrival: Arrival): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    yield chunk;
    const { changed } = arrival;
    arrival.changed = Promise.withResolvers<void>();
    changed.resolve();
  }
}
