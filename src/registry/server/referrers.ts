import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { answerBytes, type Exchange } from './answer.ts';
import type { ContentName } from './content-name.ts';
import { STATUS } from './fault.ts';
import { parseManifestDocument } from './manifest-document.ts';
import { pageOf } from './paging.ts';
import type { PullThrough } from './pull-through.ts';
import type { ManifestEntry } from './repository-index.ts';
import type { RepositoryStore } from './repository-store.ts';

interface ReferrersDeps {
  readonly store: RepositoryStore;
  readonly cache: PullThrough | null;
}

interface ReferrersTarget {
  readonly repo: string;
  readonly digest: ContentName;
}

/** What points at a manifest, whether that is here or not: an index, never 404. */
export async function getReferrers(
  deps: ReferrersDeps,
  exchange: Exchange,
  target: ReferrersTarget,
): Promise<void> {
  const { repo, digest } = target;
  const wanted = exchange.query.get('artifactType') ?? '';
  const all = await referrersOf(deps, target);
  const found = new Map([...all].filter(([, { artifactType }]) => wanted === '' || artifactType === wanted));
  const path = `/v2/${repo}/referrers/${digest}`;
  const query = new URLSearchParams(exchange.query);
  if (!query.has('n')) query.set('n', String(LIMITS.referrersPage));
  const page = pageOf([...found.keys()].sort(), path, query);
  const manifests: object[] = [];
  let [sizeBytes, taken] = [0, 0];
  for (const name of page.items) {
    const descriptor = await found.get(name)?.describe();
    if (descriptor === undefined) continue;
    sizeBytes += JSON.stringify(descriptor).length;
    if (sizeBytes > LIMITS.manifestBytes && taken > 0) break;
    manifests.push(descriptor);
    taken++;
  }
  const last = page.items[taken - 1];
  const isCut = taken < page.items.length && last !== undefined;
  const next = new URLSearchParams({ last: last ?? '', n: String(query.get('n')) });
  if (wanted !== '') next.set('artifactType', wanted);
  const hasMore = isCut || page.link !== null;
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests };
  const headers = {
    'content-type': MEDIA_TYPES.ociIndex,
    ...(wanted !== '' && { 'oci-filters-applied': 'artifactType' }),
    ...(hasMore && { link: `<${path}?${next.toString()}>; rel="next"` }),
  };
  answerBytes(exchange, STATUS.ok, { headers, body: Buffer.from(JSON.stringify(index)) });
}

interface Referrer {
  readonly artifactType: string;
  describe(): Promise<object>;
}

/** Those that are here, and of a cache those that its upstream knows. */
async function referrersOf(
  { store, cache }: ReferrersDeps,
  { repo, digest }: ReferrersTarget,
): Promise<ReadonlyMap<string, Referrer>> {
  const found = new Map<string, Referrer>();
  for (const one of (await cache?.referrers(repo, digest)) ?? []) {
    const { mediaType, sizeBytes, artifactType = '', annotations } = one;
    const hasAnnotations = Object.keys(annotations).length > 0;
    const descriptor = {
      ...{ mediaType, digest: one.digest, size: sizeBytes },
      ...(artifactType !== '' && { artifactType }),
      ...(hasAnnotations && { annotations }),
    };
    found.set(one.digest, { artifactType, describe: () => Promise.resolve(descriptor) });
  }
  const repository = store.find(repo);
  for (const name of repository?.referrers.get(digest) ?? []) {
    const entry = repository?.manifests.get(name);
    if (entry === undefined || found.has(name)) continue;
    found.set(name, { artifactType: entry.artifactType, describe: () => describe(store, name, entry) });
  }
  return found;
}

async function describe(store: RepositoryStore, name: string, entry: ManifestEntry): Promise<object> {
  const bytes = await store.blobs.readAll(entry.content, LIMITS.manifestBytes).catch((error: unknown) => {
    if (error instanceof EngineError && error.kind === 'notFound') return null;
    throw error;
  });
  const annotations = bytes === null ? {} : parseManifestDocument(bytes, entry.mediaType).annotations;
  return {
    mediaType: entry.mediaType,
    digest: name,
    size: entry.sizeBytes,
    ...(entry.artifactType !== '' && { artifactType: entry.artifactType }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}
