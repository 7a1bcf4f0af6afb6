import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import type { Descriptor } from '#oci/descriptor.ts';
import { type Digest, digestOf } from '#oci/digest.ts';
import type { UpstreamRepository } from '../server-ports.ts';
import type { ContentName } from './content-name.ts';
import { PullThrough } from './pull-through.ts';
import { RepositoryStore } from './repository-store.ts';
import { MemoryBlobs } from './testing/memory-blobs.ts';

const TYPE = 'application/vnd.oci.image.manifest.v1+json';

interface Cache extends AsyncDisposable {
  readonly cache: PullThrough;
  readonly store: RepositoryStore;
  readonly asked: string[];
  later(ms: number): void;
  upstream: Partial<UpstreamRepository>;
}

async function start(layer: Buffer, patienceMs = 5000): Promise<Cache & { digest: ContentName }> {
  const directory = await mkdtemp(join(tmpdir(), 'gt-cache-'));
  const name = `sha256:${createHash('sha256').update(layer).digest('hex')}` as ContentName;
  const config = { mediaType: 'x/c', digest: name, size: layer.length };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config, layers: [] }));
  const digest = digestOf(bytes);
  let nowMs = 0;
  const store = await RepositoryStore.open({
    directory,
    blobs: new MemoryBlobs(() => nowMs),
    log: silentLog,
    nowMs: () => nowMs,
  });
  const asked: string[] = [];
  const whole: UpstreamRepository = {
    head: async () => ({ mediaType: TYPE, digest, sizeBytes: bytes.length }),
    manifest: async () => ({ mediaType: TYPE, digest, bytes, from: 'upstream' }),
    blob: async () => ({ offset: 0, chunks: pieces(layer) }),
    referrers: async () => [],
  };
  const self = { asked, store, digest: name, upstream: {} as Partial<UpstreamRepository> };
  const upstream = (): UpstreamRepository => ({
    head: (reference) => (asked.push('head'), (self.upstream.head ?? whole.head)(reference)),
    manifest: (reference) => (asked.push('manifest'), (self.upstream.manifest ?? whole.manifest)(reference)),
    blob: (want, from) => (asked.push('blob'), (self.upstream.blob ?? whole.blob)(want, from)),
    referrers: (of, signal) => (
      asked.push('referrers'), (self.upstream.referrers ?? whole.referrers)(of, signal)
    ),
  });
  const cache = new PullThrough({ store, upstream, log: silentLog, nowMs: () => nowMs, patienceMs });
  const end = async (): Promise<void> => {
    await cache.close();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  };
  return Object.assign(self, {
    cache,
    later: (ms: number) => void (nowMs += ms),
    [Symbol.asyncDispose]: end,
  });
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) {
    yield bytes.subarray(at, at + 1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const tag = { kind: 'tag', tag: 'latest' } as const;

test('a tag is asked for anew, a manifest and a blob are fetched once, by however many', async () => {
  const layer = Buffer.from(randomBytes(5000).toString('hex'));
  await using at = await start(layer);
  const { cache, store, digest, asked } = at;
  await Promise.all([cache.manifest('a', tag), cache.manifest('a', tag)]);
  assert.deepEqual(asked, ['head', 'manifest']);
  at.later(3_600_000);
  await cache.manifest('a', tag);
  assert.deepEqual(asked, ['head', 'manifest', 'head']);
  const source = cache.blob('a', digest);
  const whole = { start: 0, end: layer.length - 1 };
  const reads = [source?.open(whole), source?.open({ start: 10, end: 5010 }), source?.open(whole)];
  const [first, middle, third] = await Promise.all(
    reads.map(async (read) => (read === undefined ? '' : await text(read))),
  );
  assert.equal(first, layer.toString());
  assert.equal(third, layer.toString());
  assert.equal(middle, layer.toString().slice(10, 5011));
  assert.equal(asked.filter((what) => what === 'blob').length, 1);
  await cache.close();
  assert.equal(store.find('a')?.blobs.has(digest), true);
});

test('blobs that no manifest named are not asked for', async () => {
  await using at = await start(Buffer.from('layer'));
  assert.equal(at.cache.blob('a', at.digest), null);
  assert.deepEqual(at.asked, []);
});

test('wrong or short bytes are not kept, and their readers are told', async () => {
  const layer = randomBytes(3000);
  await using at = await start(layer);
  await at.cache.manifest('a', tag);
  for (const bytes of [layer.subarray(0, 2000), randomBytes(3000)]) {
    at.upstream = { blob: async () => ({ offset: 0, chunks: pieces(bytes) }) };
    const source = at.cache.blob('a', at.digest);
    const reading = source?.open({ start: 0, end: 2999 });
    await assert.rejects(async () => reading !== undefined && (await text(reading)), /did not give the blob/);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(at.store.find('a')?.blobs.has(at.digest) ?? false, false);
  }
});

test('without the other registry its last tags are served; what it deleted is gone', async () => {
  await using at = await start(Buffer.from('layer'));
  const fail = (error: Error): Partial<UpstreamRepository> => ({ head: () => Promise.reject(error) });
  at.upstream = fail(new Error('connection refused'));
  await assert.rejects(at.cache.manifest('a', tag), /upstream registry: connection refused/);
  at.upstream = {};
  await at.cache.manifest('a', tag);
  at.later(3_600_000);
  at.upstream = fail(new Error('connection refused'));
  await at.cache.manifest('a', tag);
  assert.equal(at.store.find('a')?.tags.has('latest'), true);
  at.later(3_600_000);
  at.upstream = fail(new EngineError('notFound', 'manifest unknown'));
  await assert.rejects(at.cache.manifest('a', tag), /manifest unknown/);
  assert.equal(at.store.find('a')?.tags.has('latest'), false);
});

test('a tag is as new as the other registry says, but for a moment', async () => {
  await using at = await start(Buffer.from('layer'));
  await at.cache.manifest('a', tag);
  at.later(LIMITS.registryTagFreshMs - 1);
  await at.cache.manifest('a', tag);
  assert.deepEqual(at.asked, ['head', 'manifest'], 'it is not asked for again so soon');
  const config = { mediaType: 'x/c', digest: at.digest, size: 5 };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config, layers: [config] }));
  const digest = digestOf(bytes);
  at.upstream = {
    head: async () => ({ mediaType: TYPE, digest, sizeBytes: bytes.length }),
    manifest: async () => ({ mediaType: TYPE, digest, bytes, from: 'upstream' }),
  };
  at.later(1);
  await at.cache.manifest('a', tag);
  assert.equal(at.store.find('a')?.tags.get('latest'), digest);
});

test('a bounded number of tags is known to be fresh', async () => {
  await using at = await start(Buffer.from('layer'));
  const named = (n: number): { kind: 'tag'; tag: string } => ({ kind: 'tag', tag: `t${n}` });
  await at.cache.manifest('r', named(0));
  const others = Array.from({ length: LIMITS.registryFreshTags }, (_, n) => named(n + 1));
  await Promise.all(others.map((one) => at.cache.manifest('r', one)));
  at.asked.length = 0;
  await at.cache.manifest('r', named(1));
  assert.deepEqual(at.asked, [], 'the younger ones are known');
  await at.cache.manifest('r', named(0));
  assert.deepEqual(at.asked, ['head'], 'the oldest one is asked for again');
});

test('a registry that is silent holds nobody back from what is here', async () => {
  const patienceMs = 50;
  await using at = await start(Buffer.from('layer'), patienceMs);
  await at.cache.manifest('a', tag);
  at.later(3_600_000);
  const answer = Promise.withResolvers<never>();
  at.upstream = { head: () => answer.promise };
  await at.cache.manifest('a', tag);
  const before = performance.now();
  await at.cache.manifest('a', tag);
  assert.ok(performance.now() - before < patienceMs, 'the next one does not wait at all');
  assert.equal(at.store.find('a')?.tags.has('latest'), true);
  answer.reject(new Error('timeout'));
});

test('what points at a manifest is asked for once, by however many, and until the cache ends', async () => {
  await using at = await start(Buffer.from('layer'), 50);
  const digest = digestOf(Buffer.from('subject'));
  const answer = Promise.withResolvers<readonly Descriptor[]>();
  at.upstream = { referrers: () => answer.promise };
  const ask = (): Promise<readonly Descriptor[]> => at.cache.referrers('a', digest as string as ContentName);
  const asking = [ask(), ask()];
  assert.deepEqual(await Promise.all(asking), [[], []], 'it is silent');
  const third = ask();
  assert.deepEqual(at.asked, ['referrers']);
  const found = [{ mediaType: TYPE, digest, sizeBytes: 1, annotations: {} }] as unknown as Descriptor[];
  answer.resolve(found);
  assert.deepEqual(await third, found);
  at.upstream = {
    referrers: (_of, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  await ask();
  await at.cache.close();
  assert.deepEqual(at.asked, ['referrers', 'referrers']);
});

test('a manifest whose bytes are gone comes again, by its tag and by its digest', async () => {
  await using at = await start(Buffer.from('layer'));
  const { cache, store } = at;
  await cache.manifest('a', tag);
  const digest = store.find('a')?.tags.get('latest') as ContentName;
  const content = store.find('a')?.manifests.get(digest)?.content as Digest;
  for (const reference of [tag, { kind: 'digest', digest } as const]) {
    await store.blobs.remove(content);
    await cache.manifest('a', reference);
    assert.equal(await store.blobs.has(content), true, reference.kind);
  }
  await store.blobs.remove(content);
  at.later(3_600_000);
  at.upstream = { head: () => Promise.reject(new Error('connection refused')) };
  await assert.rejects(cache.manifest('a', tag), /upstream registry: connection refused/);
});
