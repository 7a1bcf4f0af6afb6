import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import { type Digest, digestOf } from '#oci/digest.ts';
import type { UpstreamRepository } from '../server-ports.ts';
import type { ContentName } from './content-name.ts';
import { parseManifestDocument } from './manifest-document.ts';
import { manifestEntry } from './manifest-entry.ts';
import { PullThrough } from './pull-through.ts';
import { RepositoryStore } from './repository-store.ts';
import { MemoryBlobs } from './testing/memory-blobs.ts';

const TYPE = 'application/vnd.oci.image.manifest.v1+json';
const LAYER_BYTES = 100_000;
const LONG_MS = LIMITS.registryCacheGraceMs + 1;

interface Made {
  readonly manifest: Buffer;
  readonly digest: Digest;
  readonly layer: Buffer;
  readonly layerDigest: ContentName;
}

/** `size` is what its manifest says of the layer. */
function image(layer: Buffer = randomBytes(LAYER_BYTES), size: number = layer.length): Made {
  const layerDigest = digestOf(layer) as string as ContentName;
  const layers = [{ mediaType: 'x/l', digest: layerDigest, size }];
  const salt = randomBytes(8).toString('hex');
  const document = { schemaVersion: 2, mediaType: TYPE, config: layers[0], layers, annotations: { salt } };
  const manifest = Buffer.from(JSON.stringify(document));
  return { manifest, digest: digestOf(manifest), layer, layerDigest };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** A cache with room for `images` layers, its upstream, and a ledger of what that was asked for. */
class Cached implements AsyncDisposable {
  readonly upstream = new Map<string, Made>();
  readonly asked: string[] = [];
  readonly blobs = new MemoryBlobs(() => this.nowMs);
  readonly #directory: string;
  readonly #maxBytes: number;
  nowMs = 0;
  /** The upstream has nothing. */
  missing = false;
  store!: RepositoryStore;
  cache!: PullThrough;

  constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  async open(): Promise<void> {
    const base = { log: silentLog, nowMs: () => this.nowMs };
    this.store = await RepositoryStore.open({ directory: this.#directory, blobs: this.blobs, ...base });
    const upstream = (path: string): UpstreamRepository => this.#repository(path);
    this.cache = new PullThrough({ store: this.store, upstream, maxBytes: this.#maxBytes, ...base });
  }

  async close(): Promise<void> {
    await this.cache.close();
    await this.store.close();
  }

  /** As a client does: the manifest by its tag, then the layer. */
  async pull(repo: string): Promise<void> {
    const made = this.upstream.get(repo);
    assert.ok(made !== undefined);
    await this.cache.manifest(repo, { kind: 'tag', tag: 'v' });
    if (this.store.find(repo)?.blobs.has(made.layerDigest) === true) return;
    const source = this.cache.blob(repo, made.layerDigest);
    assert.ok(source !== null, `${repo}: nobody named the layer`);
    await text(source.open({ start: 0, end: source.sizeBytes - 1 }));
  }

  has(repo: string): boolean {
    const made = this.upstream.get(repo);
    return made !== undefined && this.store.find(repo)?.blobs.has(made.layerDigest) === true;
  }

  add(repo: string, made: Made = image()): Made {
    this.upstream.set(repo, made);
    return made;
  }

  #repository(path: string): UpstreamRepository {
    const made = (): Made => {
      if (this.missing) throw new EngineError('notFound', 'manifest unknown');
      const found = this.upstream.get(path);
      if (found === undefined) throw new Error('connection refused');
      return found;
    };
    return {
      head: async () => (
        this.asked.push(`head ${path}`),
        { mediaType: TYPE, digest: made().digest, sizeBytes: made().manifest.length }
      ),
      manifest: async () => (
        this.asked.push(`manifest ${path}`),
        { mediaType: TYPE, digest: made().digest, bytes: made().manifest, from: 'upstream' }
      ),
      blob: async (_want, { offset }) => (
        this.asked.push(`blob ${path}`), { offset, chunks: once(made().layer.subarray(offset)) }
      ),
      referrers: async () => [],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** As clients did while it was no cache. */
async function pushed(at: Cached, repo: string, made: Made): Promise<void> {
  const upload = await at.blobs.begin(repo);
  await upload.append(once(made.layer));
  await at.store.commitBlob(repo, made.layerDigest, upload);
  const entry = manifestEntry(made.manifest, parseManifestDocument(made.manifest, TYPE));
  const digest = made.digest as string as ContentName;
  await at.store.putManifest({ repo, digest, entry, tags: ['own'] }, made.manifest);
}

async function start(layers: number): Promise<Cached> {
  const directory = await mkdtemp(join(tmpdir(), 'gt-keeper-'));
  const cached = new Cached(directory, layers * (LAYER_BYTES + 2000));
  await cached.open();
  return cached;
}

/** The blob's name stands in the journal a moment after its last byte was given out. */
async function settled(at: Cached, repo: string): Promise<void> {
  while (!at.has(repo)) await new Promise((resolve) => setImmediate(resolve));
}

async function pulled(at: Cached, repo: string): Promise<void> {
  at.add(repo);
  await at.pull(repo);
  await settled(at, repo);
}

test('a full cache lets go what nobody asked for the longest, bytes and all', async () => {
  await using at = await start(3);
  for (const repo of ['a', 'b', 'c']) {
    await pulled(at, repo);
    at.nowMs += 1000;
  }
  at.nowMs += LONG_MS;
  await at.pull('a');
  at.nowMs += LONG_MS;
  await pulled(at, 'd');
  await at.cache.trim();
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((repo) => at.has(repo)),
    [true, false, false, true],
  );
  assert.ok(at.store.index.usedBytes <= 3 * (LAYER_BYTES + 2000));
  const left = await at.blobs.list();
  assert.equal(
    left.includes(at.upstream.get('b')?.layerDigest as string as Digest),
    false,
    'its bytes are there',
  );
  at.asked.length = 0;
  await at.pull('b');
  assert.deepEqual(at.asked, ['head b', 'manifest b', 'blob b'], 'it comes again');
});

test('what was just asked for stays, whatever the bound says', async () => {
  await using at = await start(1);
  at.nowMs += LONG_MS;
  for (const repo of ['a', 'b', 'c']) await pulled(at, repo);
  await at.cache.trim();
  assert.deepEqual(
    ['a', 'b', 'c'].map((repo) => at.has(repo)),
    [true, true, true],
  );
  at.nowMs += LONG_MS;
  await at.cache.trim();
  assert.equal(['a', 'b', 'c'].filter((repo) => at.has(repo)).length, 0);
});

test('a blob that is being given out stays, and its manifest too, however long it takes', async () => {
  await using at = await start(1);
  at.nowMs += LONG_MS;
  await pulled(at, 'a');
  const layer = at.upstream.get('a')?.layerDigest as ContentName;
  const served = at.cache.serve('a', layer);
  at.nowMs += 10 * LONG_MS;
  await pulled(at, 'b');
  await at.cache.trim();
  assert.equal(at.has('a'), true);
  served();
  await at.cache.trim();
  assert.equal(at.has('a'), true, 'whoever lost the connection comes back for the rest');
  at.nowMs += LONG_MS;
  await at.cache.trim();
  assert.equal(at.has('a'), false);
});

test('a layer that two images have stays until both are gone', async () => {
  await using at = await start(1);
  const shared = randomBytes(LAYER_BYTES);
  at.nowMs += LONG_MS;
  for (const repo of ['a', 'b']) {
    at.add(repo, image(shared));
    await at.pull(repo);
    await settled(at, repo);
  }
  assert.ok(at.store.index.usedBytes < LAYER_BYTES + 2000, 'it counts once');
  at.nowMs += LONG_MS;
  await at.pull('b');
  await pulled(at, 'c');
  await at.cache.trim();
  assert.deepEqual(
    ['a', 'b'].map((repo) => at.has(repo)),
    [false, true],
  );
  const left = await at.blobs.list();
  assert.ok(left.includes(digestOf(shared)));
});

test('a size that is not true empties nothing', async () => {
  await using at = await start(3);
  for (const repo of ['a', 'b']) await pulled(at, repo);
  at.nowMs += LONG_MS;
  const bytes = Buffer.from('few');
  for (const size of [3 * LAYER_BYTES, 100 * LAYER_BYTES]) {
    at.add('liar', image(bytes, size));
    at.nowMs += LIMITS.registryTagFreshMs;
    await assert.rejects(at.pull('liar'), /bytes came|did not give/, String(size));
  }
  await at.cache.trim();
  assert.deepEqual(
    ['a', 'b'].map((repo) => at.has(repo)),
    [true, true],
  );
});

test('there is room again when a blob has come', async () => {
  await using at = await start(2);
  at.nowMs += LONG_MS;
  for (const repo of ['a', 'b']) await pulled(at, repo);
  at.nowMs += LONG_MS;
  await pulled(at, 'c');
  const untilMs = performance.now() + 5000;
  while (at.has('b') && performance.now() < untilMs) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    ['a', 'b', 'c'].map((repo) => at.has(repo)),
    [false, false, true],
  );
});

test('a blob larger than the cache passes by, whole, in part, and never with wrong bytes', async () => {
  await using at = await start(1);
  const layer = Buffer.from(randomBytes(LAYER_BYTES).toString('hex'));
  const { layerDigest } = at.add('big', image(layer));
  await at.cache.manifest('big', { kind: 'tag', tag: 'v' });
  const read = (start: number, end: number): Promise<string> => {
    const source = at.cache.blob('big', layerDigest);
    assert.equal(source?.sizeBytes, layer.length);
    return text(source.open({ start, end }));
  };
  assert.equal(await read(0, layer.length - 1), layer.toString());
  assert.equal(await read(5, 9), layer.toString().slice(5, 10));
  assert.equal(await read(7, layer.length - 1), layer.toString().slice(7));
  assert.equal(at.has('big'), false);
  assert.equal(at.blobs.openUploads, 0);
  const made = at.upstream.get('big') as Made;
  at.upstream.set('big', { ...made, layer: Buffer.alloc(layer.length) });
  await assert.rejects(read(0, layer.length - 1), /another blob/);
  at.upstream.set('big', { ...made, layer: layer.subarray(1) });
  await assert.rejects(read(0, layer.length - 1), /bytes came/);
});

test('what was pushed stays, with layers that fetched ones have too, and with its tag', async () => {
  await using at = await start(1);
  const shared = randomBytes(LAYER_BYTES);
  const own = image(shared);
  await pushed(at, 'a', own);
  await pushed(at, 'b', image());
  const both = image();
  await pushed(at, 'c', both);
  at.add('c', both);
  await at.pull('c');
  at.nowMs += LONG_MS;
  at.add('a', image(shared));
  await at.pull('a');
  const fetched = at.upstream.get('a')?.digest as string as ContentName;
  await at.close();
  await at.open();
  at.nowMs += 2 * LONG_MS;
  await at.cache.trim();
  const { manifests, blobs } = at.store.find('a') ?? assert.fail('all of it is gone');
  assert.equal(manifests.has(fetched), false);
  assert.equal(manifests.has(own.digest as string as ContentName), true);
  assert.equal(blobs.has(own.layerDigest), true);
  assert.equal(await at.blobs.has(own.layerDigest as string as Digest), true);
  assert.equal(at.store.find('b')?.manifests.size, 1);
  assert.equal(at.store.find('c')?.manifests.size, 1, 'pushed, and fetched later');
  at.missing = true;
  await at.cache.manifest('b', { kind: 'tag', tag: 'own' });
  assert.equal(at.store.find('b')?.tags.size, 1, 'the upstream has never heard of it');
});

test('a restart knows what was used last; nothing goes right after it', async () => {
  await using at = await start(2);
  at.nowMs += LONG_MS;
  await pulled(at, 'a');
  await pulled(at, 'b');
  at.nowMs += LONG_MS;
  await at.pull('a');
  await at.close();
  await at.open();
  at.nowMs += 1000;
  await pulled(at, 'c');
  await at.cache.trim();
  assert.deepEqual(
    ['a', 'b', 'c'].map((repo) => at.has(repo)),
    [true, true, true],
  );
  at.nowMs += LONG_MS;
  await pulled(at, 'c');
  at.nowMs += LIMITS.registryCacheRetryMs;
  await at.cache.trim();
  assert.deepEqual(
    ['a', 'b'].map((repo) => at.has(repo)),
    [false, false],
  );
  await at.store.compact();
});

test('a size is looked up, not searched for', async () => {
  await using at = await start(100);
  at.add('a');
  for (let n = 0; n < 50; n++) {
    const made = at.add('a');
    await at.cache.manifest('a', { kind: 'digest', digest: made.digest as string as ContentName });
  }
  const repository = at.store.find('a');
  assert.equal(repository?.promised.size, 50);
  for (const digest of [...(repository?.manifests.keys() ?? [])].slice(1))
    await at.store.evict('a', digest, 0);
  assert.equal(repository?.promised.size, 1, 'what nobody names is not promised');
});
