import type { IncomingMessage, ServerResponse } from 'node:http';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import type { RegistryAccess } from '../server-ports.ts';
import { answerBytes, answerJson, type Exchange } from './answer.ts';
import { type BlobDeps, deleteBlob, getBlob } from './blobs.ts';
import { Fault, STATUS } from './fault.ts';
import { getCatalog, getSearch, getTags } from './lists.ts';
import { deleteManifest, getManifest, type ManifestDeps, putManifest } from './manifests.ts';
import { getReferrers } from './referrers.ts';
import { type Route, routeOf } from './route.ts';
import {
  addToUpload,
  beginUpload,
  cancelUpload,
  endUpload,
  type UploadDeps,
  uploadStatus,
} from './uploads.ts';

export interface RouterDeps extends BlobDeps, ManifestDeps, UploadDeps {
  readonly access: RegistryAccess | null;
  readonly isReadonly: boolean;
  readonly log: Log;
}

/** Answers a method of one route; undefined: the route has no such method. */
type Answer = (() => void | Promise<void>) | undefined;

const CHALLENGE = 'Basic realm="gantry-registry"';

function answerOf(deps: RouterDeps, exchange: Exchange, route: Route): Answer {
  const method = exchange.method === 'HEAD' ? 'GET' : exchange.method;
  const pick = (answers: Readonly<Record<string, Answer>>): Answer =>
    Object.hasOwn(answers, method) ? answers[method] : undefined;
  switch (route.kind) {
    case 'root':
      return pick({ GET: () => answerJson(exchange, {}) });
    case 'ping1':
      return pick({ GET: () => answerJson(exchange, true, { 'x-docker-registry-standalone': 'true' }) });
    case 'catalog':
      return pick({ GET: () => getCatalog(deps.store, exchange) });
    case 'search':
      return pick({ GET: () => getSearch(deps.store, exchange) });
    case 'tags':
      return pick({ GET: () => getTags(deps.store, exchange, route.name) });
    case 'referrers': {
      const target = { repo: route.name, digest: route.digest };
      return pick({ GET: () => getReferrers(deps, exchange, target) });
    }
    case 'manifest': {
      const target = { repo: route.name, reference: route.reference };
      return pick({
        GET: () => getManifest(deps, exchange, target),
        PUT: () => putManifest(deps, exchange, target),
        DELETE: () => deleteManifest(deps, exchange, target),
      });
    }
    case 'blob': {
      const target = { repo: route.name, digest: route.digest };
      return pick({
        GET: () => getBlob(deps, exchange, target),
        DELETE: () => deleteBlob(deps, exchange, target),
      });
    }
    case 'uploads':
      return pick({ POST: () => beginUpload(deps, exchange, route.name) });
    case 'upload': {
      const target = { repo: route.name, session: route.session };
      return pick({
        GET: () => uploadStatus(deps, exchange, target),
        PATCH: () => addToUpload(deps, exchange, target),
        PUT: () => endUpload(deps, exchange, target),
        DELETE: () => cancelUpload(deps, exchange, target),
      });
    }
  }
}

/** Path and query of a request. Errors: 400, 404. */
function targetOf(request: IncomingMessage): { readonly path: string; readonly query: URLSearchParams } {
  const url = request.url ?? '';
  const mark = url.indexOf('?');
  const raw = mark < 0 ? url : url.slice(0, mark);
  if (url.length > LIMITS.registryTargetBytes) throw new Fault(STATUS.badRequest, 'NAME_INVALID');
  try {
    return { path: decodeURIComponent(raw), query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)) };
  } catch {
    throw new Fault(STATUS.badRequest, 'NAME_INVALID', { detail: 'the path is not percent-encoded UTF-8' });
  }
}

async function admit(access: RegistryAccess | null, request: IncomingMessage): Promise<void> {
  const verdict = access === null ? 'granted' : await access.check(request.headers.authorization);
  if (verdict === 'busy') throw new Fault(STATUS.tooManyRequests, 'TOOMANYREQUESTS');
  if (verdict === 'refused')
    throw new Fault(STATUS.unauthorized, 'UNAUTHORIZED', { headers: { 'www-authenticate': CHALLENGE } });
}

async function answer(deps: RouterDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await admit(deps.access, request);
  const { path, query } = targetOf(request);
  const route = routeOf(path);
  if (route === null) throw new Fault(STATUS.notFound, 'UNSUPPORTED', { message: 'no such endpoint' });
  const exchange = { request, response, query, method: request.method ?? '' };
  const run = answerOf(deps, exchange, route);
  const isReading = exchange.method === 'GET' || exchange.method === 'HEAD';
  if (run === undefined || (deps.isReadonly && !isReading))
    throw new Fault(STATUS.methodNotAllowed, 'UNSUPPORTED');
  await run();
}

/** What the client is told; what it cannot mend is logged. */
function faultOf(error: unknown, log: Log): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof EngineError && error.kind === 'tooLarge')
    return new Fault(STATUS.tooLarge, 'SIZE_INVALID', { message: error.message });
  log.error('a request failed', { error: errorMessage(error) });
  if (errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT')
    return new Fault(STATUS.noSpace, 'UNKNOWN', { message: 'no space left on the registry' });
  if (error instanceof EngineError && error.kind === 'unavailable')
    return new Fault(STATUS.unavailable, 'UNAVAILABLE', { message: error.message });
  return new Fault(STATUS.internal, 'UNKNOWN');
}

function refuse(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
  const exchange = { request, response, query: new URLSearchParams(), method: request.method ?? '' };
  const { socket } = request;
  const isOpen = !request.complete;
  const headers = { 'content-type': 'application/json', ...fault.headers };
  answerBytes(exchange, fault.status, { headers, body: Buffer.from(JSON.stringify(fault)) });
  if (!isOpen) return;
  // The rest of a refused body is taken for a moment, so that its sender gets to read the refusal. (With
  // `Connection: close` node would end the connection at once, and what comes then takes the answer along.)
  request.on('error', () => undefined);
  request.resume();
  const end = setTimeout(() => {
    if (!request.complete) socket.destroy();
  }, LIMITS.refusedBodyMs);
  socket.once('close', () => clearTimeout(end));
}

/** Never throws: every request gets an answer or loses its connection. */
export async function handleRequest(
  deps: RouterDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  response.setHeader('x-content-type-options', 'nosniff');
  response.on('error', () => undefined);
  try {
    await answer(deps, request, response);
  } catch (error) {
    if (request.destroyed && !request.complete) return void response.destroy();
    const fault = faultOf(error, deps.log);
    if (response.headersSent) response.destroy();
    else refuse(fault, request, response);
  }
}
