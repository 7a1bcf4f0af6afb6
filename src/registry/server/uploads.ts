import type { IncomingMessage } from 'node:http';
import { isEngineError } from '#base/errors.ts';
import { answerEmpty, type AnswerHeaders, type Exchange } from './answer.ts';
import { type ContentName, isContentName } from './content-name.ts';
import { digestInvalid, Fault, STATUS } from './fault.ts';
import { parseChunkRange } from './ranges.ts';
import type { RepositoryStore } from './repository-store.ts';
import { checkedContentName, isRepositoryName } from './route.ts';
import type { UploadSession, UploadSessions } from './upload-sessions.ts';

export interface UploadDeps {
  readonly store: RepositoryStore;
  readonly sessions: UploadSessions;
}

/** Where somebody pushes to. */
interface Target {
  readonly repo: string;
  readonly session: string;
}

function sessionHeaders(repo: string, { id, upload }: UploadSession): AnswerHeaders {
  return {
    location: `/v2/${repo}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, upload.sizeBytes - 1)}`,
    'docker-upload-uuid': id,
  };
}

function createdHeaders(repo: string, digest: ContentName): AnswerHeaders {
  return { location: `/v2/${repo}/blobs/${digest}`, 'docker-content-digest': digest };
}

function contentLength(request: IncomingMessage): number | null {
  const text = request.headers['content-length'];
  return text === undefined ? null : Number(text);
}

/** The body, which must have `length` bytes where that is known. */
async function* bodyOf(request: IncomingMessage, length: number | null): AsyncGenerator<Uint8Array> {
  let taken = 0;
  // Whoever stops here, as on a full disk, answers still: a stream that is left would end the connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const left = length === null ? chunk.length : length - taken;
    if (left > 0) yield chunk.length > left ? chunk.subarray(0, left) : chunk;
    taken += chunk.length;
    if (length !== null && taken > length) break;
  }
  if (length !== null && taken !== length)
    throw new Fault(STATUS.badRequest, 'SIZE_INVALID', { detail: `the range has ${length} bytes` });
}

/** Adds the request's body to a session, which has to be where the request's range begins. */
async function addBody(request: IncomingMessage, repo: string, session: UploadSession): Promise<void> {
  const range = parseChunkRange(request.headers['content-range']);
  if (range === 'bad')
    throw new Fault(STATUS.badRequest, 'BLOB_UPLOAD_INVALID', { detail: 'bad Content-Range' });
  const length = range === null ? null : range.end - range.start + 1;
  if (range !== null && range.start !== session.upload.sizeBytes) {
    const headers = Object.entries(sessionHeaders(repo, session)).map(([name, value]) => [
      name,
      String(value),
    ]);
    throw new Fault(STATUS.rangeNotSatisfiable, 'BLOB_UPLOAD_INVALID', {
      detail: `the next byte is ${session.upload.sizeBytes}`,
      headers: Object.fromEntries(headers) as Record<string, string>,
    });
  }
  const said = contentLength(request);
  if (length !== null && said !== null && said !== length)
    throw new Fault(STATUS.badRequest, 'SIZE_INVALID', { detail: 'Content-Length and Content-Range differ' });
  await session.upload.append(bodyOf(request, length));
}

async function commit(deps: UploadDeps, session: UploadSession, { repo, digest }: Wanted): Promise<void> {
  try {
    await deps.store.commitBlob(repo, digest, session.upload);
    deps.sessions.forget(session.id);
  } catch (error) {
    if (!isEngineError(error, 'invalidArgument')) throw error;
    await deps.sessions.cancel(session);
    throw digestInvalid(error.message);
  }
}

interface Wanted {
  readonly repo: string;
  readonly digest: ContentName;
}

/** Cross-repository mount; without `from`, any repository will do. */
async function mount(
  { store }: UploadDeps,
  query: URLSearchParams,
  repo: string,
): Promise<ContentName | null> {
  const digest = query.get('mount');
  if (!isContentName(digest)) return null;
  const from = query.get('from');
  if (from !== null && from !== '' && !isRepositoryName(from)) return null;
  const entry =
    from === null || from === '' ? store.index.findBlob(digest) : store.find(from)?.blobs.get(digest);
  if (entry === undefined) return null;
  const release = store.hold([entry.content]);
  try {
    store.touch(entry.content);
    if (!(await store.blobs.has(entry.content))) return null;
    await store.linkBlob(repo, digest, entry);
    return digest;
  } finally {
    release();
  }
}

/** POST …/blobs/uploads/: a session, a mount, or a whole blob at once. */
export async function beginUpload(deps: UploadDeps, exchange: Exchange, repo: string): Promise<void> {
  const { query, request } = exchange;
  const mounted = query.has('mount') ? await mount(deps, query, repo) : null;
  if (mounted !== null) return answerEmpty(exchange, STATUS.created, createdHeaders(repo, mounted));
  const algorithm = query.get('digest-algorithm');
  if (algorithm !== null && algorithm !== 'sha256' && algorithm !== 'sha512')
    throw new Fault(STATUS.badRequest, 'UNSUPPORTED', { detail: 'digests are sha256 or sha512' });
  const asked = query.get('digest');
  const digest = asked === null ? null : checkedContentName(asked);
  const session = await deps.sessions.begin(repo);
  if (digest === null) return answerEmpty(exchange, STATUS.accepted, sessionHeaders(repo, session));
  try {
    await session.upload.append(bodyOf(request, contentLength(request)));
    await commit(deps, session, { repo, digest });
  } catch (error) {
    await deps.sessions.cancel(session);
    throw error;
  }
  answerEmpty(exchange, STATUS.created, createdHeaders(repo, digest));
}

/** PATCH: a chunk, or the whole stream. */
export async function addToUpload(deps: UploadDeps, exchange: Exchange, at: Target): Promise<void> {
  const { request } = exchange;
  const where = { repo: at.repo, id: at.session };
  await deps.sessions.use(
    where,
    () => request.destroy(),
    async (session) => {
      await addBody(request, at.repo, session);
      answerEmpty(exchange, STATUS.accepted, sessionHeaders(at.repo, session));
    },
  );
}

/** PUT: the last chunk, if there is one, and the digest of it all. */
export async function endUpload(deps: UploadDeps, exchange: Exchange, at: Target): Promise<void> {
  const { request, query } = exchange;
  const digest = checkedContentName(query.get('digest') ?? '');
  const where = { repo: at.repo, id: at.session };
  await deps.sessions.use(
    where,
    () => request.destroy(),
    async (session) => {
      await addBody(request, at.repo, session);
      await commit(deps, session, { repo: at.repo, digest });
    },
  );
  answerEmpty(exchange, STATUS.created, createdHeaders(at.repo, digest));
}

export async function uploadStatus(deps: UploadDeps, exchange: Exchange, at: Target): Promise<void> {
  const session = await deps.sessions.find(at.repo, at.session);
  answerEmpty(exchange, STATUS.noContent, sessionHeaders(at.repo, session));
}

export async function cancelUpload(deps: UploadDeps, exchange: Exchange, at: Target): Promise<void> {
  const where = { repo: at.repo, id: at.session };
  await deps.sessions.use(
    where,
    () => undefined,
    (session) => deps.sessions.cancel(session),
  );
  answerEmpty(exchange, STATUS.noContent, { 'docker-upload-uuid': at.session });
}
