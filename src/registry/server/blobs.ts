import { answerEmpty, sendStream, type AnswerHeaders, type Exchange } from './answer.ts';
import type { ContentName } from './content-name.ts';
import { blobUnknown, Fault, nameUnknown, STATUS } from './fault.ts';
import type { BlobSource, PullThrough } from './pull-through.ts';
import { parseRange } from './ranges.ts';
import type { RepositoryStore } from './repository-store.ts';

export interface BlobDeps {
  readonly store: RepositoryStore;
  readonly cache: PullThrough | null;
}

interface BlobTarget {
  readonly repo: string;
  readonly digest: ContentName;
}

async function sourceOf({ store, cache }: BlobDeps, { repo, digest }: BlobTarget): Promise<BlobSource> {
  const entry = store.find(repo)?.blobs.get(digest);
  if (entry !== undefined) {
    store.touch(entry.content);
    if (await store.blobs.has(entry.content)) {
      return { sizeBytes: entry.sizeBytes, open: (range) => store.blobs.open(entry.content, range) };
    }
  }
  const arriving = cache?.blob(repo, digest);
  if (arriving === undefined || arriving === null) throw blobUnknown(digest);
  return arriving;
}

/** GET and HEAD. */
export async function getBlob(deps: BlobDeps, exchange: Exchange, target: BlobTarget): Promise<void> {
  const { request, response, method } = exchange;
  const source = await sourceOf(deps, target);
  const headers: AnswerHeaders = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': target.digest,
    etag: `"${target.digest}"`,
    'cache-control': 'max-age=31536000',
    'accept-ranges': 'bytes',
  };
  if (request.headers['if-none-match'] === `"${target.digest}"`) {
    response.writeHead(STATUS.notModified, headers);
    response.end();
    return;
  }
  const range = parseRange(request.headers.range, source.sizeBytes);
  if (range === 'unsatisfiable') {
    throw new Fault(STATUS.rangeNotSatisfiable, 'SIZE_INVALID', {
      headers: { 'content-range': `bytes */${source.sizeBytes}` },
    });
  }
  const wanted = range === 'all' ? { start: 0, end: source.sizeBytes - 1 } : range;
  const part =
    range === 'all' ? {} : { 'content-range': `bytes ${wanted.start}-${wanted.end}/${source.sizeBytes}` };
  const length = wanted.end - wanted.start + 1;
  const status = range === 'all' ? STATUS.ok : STATUS.partialContent;
  response.writeHead(status, { ...headers, ...part, 'content-length': length });
  if (method === 'HEAD' || length === 0) return void response.end();
  const served = deps.cache?.serve(target.repo, target.digest);
  try {
    await sendStream(exchange, source.open(wanted));
  } finally {
    served?.();
  }
}

export async function deleteBlob(deps: BlobDeps, exchange: Exchange, target: BlobTarget): Promise<void> {
  const repository = deps.store.find(target.repo);
  if (repository === undefined) throw nameUnknown(target.repo);
  if (!repository.blobs.has(target.digest)) throw blobUnknown(target.digest);
  await deps.store.deleteBlob(target.repo, target.digest);
  answerEmpty(exchange, STATUS.accepted, { 'docker-content-digest': target.digest });
}
