import type { IncomingMessage } from 'node:http';
import { LIMITS } from '#base/limits.ts';
import type { Digest } from '#oci/digest.ts';
import type { Slots } from '../client.ts';
import { answerBytes, answerEmpty, sendStream, type AnswerHeaders, type Exchange } from './answer.ts';
import { type ContentName, nameOf } from './content-name.ts';
import { digestInvalid, Fault, manifestUnknown, nameUnknown, STATUS } from './fault.ts';
import { parseManifestDocument, type ManifestDocument } from './manifest-document.ts';
import { manifestEntry } from './manifest-entry.ts';
import type { PullThrough } from './pull-through.ts';
import type { RepositoryStore } from './repository-store.ts';
import { isTag, type ManifestReference } from './route.ts';

export interface ManifestDeps {
  readonly store: RepositoryStore;
  readonly cache: PullThrough | null;
  /** Turns of those who push one: each holds its bytes in memory. */
  readonly pushes: Slots;
}

interface ManifestTarget {
  readonly repo: string;
  readonly reference: ManifestReference;
}

/** Larger ones are not held for readers that take their time. */
const IN_MEMORY_BYTES = 256 * 1024;

function textOf(reference: ManifestReference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}

/** GET and HEAD. */
export async function getManifest(
  deps: ManifestDeps,
  exchange: Exchange,
  target: ManifestTarget,
): Promise<void> {
  const { repo, reference } = target;
  await deps.cache?.manifest(repo, reference);
  const repository = deps.store.find(repo);
  if (repository === undefined) throw nameUnknownOr(reference, repo);
  const digest = reference.kind === 'tag' ? repository.tags.get(reference.tag) : reference.digest;
  const entry = digest === undefined ? undefined : repository.manifests.get(digest);
  if (digest === undefined || entry === undefined) throw manifestUnknown(textOf(reference));
  const headers: AnswerHeaders = {
    'content-type': entry.mediaType,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  };
  if (exchange.request.headers['if-none-match'] === `"${digest}"`) {
    exchange.response.writeHead(STATUS.notModified, headers);
    exchange.response.end();
    return;
  }
  if (entry.sizeBytes > IN_MEMORY_BYTES && exchange.method !== 'HEAD') {
    if (!(await deps.store.blobs.has(entry.content))) throw manifestUnknown(textOf(reference));
    exchange.response.writeHead(STATUS.ok, { ...headers, 'content-length': entry.sizeBytes });
    return sendStream(exchange, deps.store.blobs.open(entry.content));
  }
  const body = await deps.store.blobs.readAll(entry.content, LIMITS.manifestBytes);
  answerBytes(exchange, STATUS.ok, { headers, body });
}

/** Clients take a missing repository's manifest for a missing manifest. */
function nameUnknownOr(reference: ManifestReference, repo: string): Fault {
  return reference.kind === 'tag' ? nameUnknown(repo) : manifestUnknown(reference.digest);
}

async function readDocument(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = (): Fault =>
    new Fault(STATUS.tooLarge, 'MANIFEST_INVALID', { detail: `more than ${LIMITS.manifestBytes} bytes` });
  if (Number(request.headers['content-length'] ?? 0) > LIMITS.manifestBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMITS.manifestBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The contents that the manifest names, all of them here. Errors: 404 with those that are missing. */
function namedContents(store: RepositoryStore, repo: string, document: ManifestDocument): Digest[] {
  const repository = store.find(repo);
  const found: Digest[] = [];
  const missing: string[] = [];
  for (const { digest, isManifest } of document.names) {
    const entry = isManifest ? repository?.manifests.get(digest) : repository?.blobs.get(digest);
    if (entry === undefined) missing.push(digest);
    else found.push(entry.content);
  }
  if (missing.length === 0) return found;
  throw new Fault(STATUS.notFound, 'MANIFEST_BLOB_UNKNOWN', { detail: missing.slice(0, 16) });
}

/** Tags that the push is to make. Errors: 400. */
function wantedTags(reference: ManifestReference, query: URLSearchParams): readonly string[] {
  if (reference.kind === 'tag') return [reference.tag];
  const tags = [...new Set(query.getAll('tag'))];
  if (tags.length > LIMITS.tagsPerPush)
    throw new Fault(STATUS.badRequest, 'TAG_INVALID', { message: `more than ${LIMITS.tagsPerPush} tags` });
  if (!tags.every(isTag)) throw new Fault(STATUS.badRequest, 'TAG_INVALID', { message: 'invalid tag' });
  return tags;
}

function digestFor(reference: ManifestReference, bytes: Uint8Array): ContentName {
  if (reference.kind === 'tag') return nameOf(bytes, 'sha256');
  const found = nameOf(bytes, reference.digest.startsWith('sha512') ? 'sha512' : 'sha256');
  if (found !== reference.digest) throw digestInvalid(`the manifest is ${found}`);
  return found;
}

async function takeManifest(deps: ManifestDeps, exchange: Exchange, target: ManifestTarget): Promise<void> {
  const { store } = deps;
  const { repo, reference } = target;
  const bytes = await readDocument(exchange.request);
  const digest = digestFor(reference, bytes);
  const tags = wantedTags(reference, exchange.query);
  const document = parseManifestDocument(bytes, exchange.request.headers['content-type']);
  const release = store.hold(namedContents(store, repo, document));
  try {
    await store.putManifest({ repo, digest, entry: manifestEntry(bytes, document), tags }, bytes);
  } finally {
    release();
  }
  answerEmpty(exchange, STATUS.created, {
    location: `/v2/${repo}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(document.subject !== null && { 'oci-subject': document.subject }),
    ...(reference.kind === 'digest' && tags.length > 0 && { 'oci-tag': [...tags] }),
  });
}

export async function putManifest(
  deps: ManifestDeps,
  exchange: Exchange,
  target: ManifestTarget,
): Promise<void> {
  const gone = new AbortController();
  exchange.response.once('close', () => gone.abort(new Error('the client went away')));
  const release = await deps.pushes.take(gone.signal);
  const tooSlow = setTimeout(() => exchange.request.destroy(), LIMITS.registryDocumentMs);
  try {
    await takeManifest(deps, exchange, target);
  } finally {
    clearTimeout(tooSlow);
    release();
  }
}

export async function deleteManifest(
  { store }: ManifestDeps,
  exchange: Exchange,
  { repo, reference }: ManifestTarget,
): Promise<void> {
  const repository = store.find(repo);
  if (repository === undefined) throw nameUnknown(repo);
  if (reference.kind === 'tag') {
    if (!repository.tags.has(reference.tag)) throw manifestUnknown(reference.tag);
    await store.deleteTag(repo, reference.tag);
  } else {
    if (!repository.manifests.has(reference.digest)) throw manifestUnknown(reference.digest);
    await store.deleteManifest(repo, reference.digest);
  }
  answerEmpty(exchange, STATUS.accepted, {});
}
