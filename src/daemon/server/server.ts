import {
  createServer,
  type IncomingMessage,
  ServerResponse,
  type RequestListener,
  type Server,
} from 'node:http';
import type { ServerOptions as TlsOptions } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorMessage, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import { pageNotFound } from '#api/messages.ts';
import { API_VERSION, checkVersion } from '#api/version.ts';
import type { Call, Route } from './call.ts';
import { HijackedConnection, mayHijack, type UpgradeParts } from './hijack.ts';
import { INTERNAL, statusOf } from './http-status.ts';
import { refusal, type Transport } from './origin.ts';
import { Reply } from './reply.ts';
import { Router } from './router.ts';
import { discardBody } from './streamed-body.ts';

export interface ServerOptions {
  /** A promise: listeners may be open before there are routes; requests wait for them then. */
  readonly routes: readonly Route[] | Promise<readonly Route[]>;
  readonly log: Log;
  /** The `Server` header, `Gantry/0.1.0 (linux)`. */
  readonly product: string;
}

const VERSION_PREFIX = /^\/v(\d{1,4}(?:\.\d{1,4})+)(?=\/)/;

interface Incoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse | null;
  readonly upgrade: UpgradeParts | null;
}

/** Answers Engine API requests on any number of listeners. */
export class ApiServer {
  readonly #router: Promise<Router>;
  readonly #options: ServerOptions;
  readonly #undecided = new WeakSet<Duplex>();
  readonly #headers: readonly (readonly [string, string])[];

  constructor(options: ServerOptions) {
    this.#router = Promise.resolve(options.routes).then((routes) => new Router(routes));
    // A start that fails ends the process; whoever waits is told by the connection's end.
    this.#router.catch(() => undefined);
    this.#options = options;
    this.#headers = [
      ['Api-Version', API_VERSION],
      ['Docker-Experimental', 'false'],
      ['Ostype', 'linux'],
      ['Server', options.product],
    ];
  }

  /** A node server for one way in. */
  createListener(transport: Transport, tls?: TlsOptions): Server {
    const settings = {
      maxHeaderSize: LIMITS.headerBlockBytes,
      headersTimeout: LIMITS.headerTimeoutMs,
      // How often node looks; its own choice is half a minute, far beyond the limit.
      connectionsCheckingInterval: LIMITS.headerTimeoutMs / 2,
      requestTimeout: 0,
      keepAlive: false,
    };
    const listener: RequestListener = (request, response) => void this.#handle(request, response, transport);
    const server =
      tls === undefined ? createServer(settings, listener) : tlsServer({ ...settings, ...tls }, listener);
    server.on('upgrade', (request, socket, head) => void this.#upgrade({ request, socket, head }, transport));
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
      refuseMalformed(error, socket),
    );
    server.keepAliveTimeout = 0;
    return server;
  }

  /**
   * False for what stands behind a request that may take the connection over, before it was answered: it is
   * input that came too early, and must not run as a request.
   */
  #isNext(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request;
    if (this.#undecided.has(socket)) return false;
    if (mayHijack(request)) {
      this.#undecided.add(socket);
      response.once('finish', () => this.#undecided.delete(socket));
    }
    return true;
  }

  async #handle(request: IncomingMessage, response: ServerResponse, transport: Transport): Promise<void> {
    if (!this.#isNext(request, response)) return void request.socket.destroy();
    const onFailure = (error: unknown): void => this.#report(request, error);
    const reply = new Reply(response, { headers: this.#headers, onFailure });
    response.on('error', () => undefined);
    try {
      await this.#dispatch({ request, response, upgrade: null }, reply, transport);
    } catch (error) {
      this.#report(request, error);
      if (!request.complete && !response.headersSent) discardBody(request);
      if (!response.headersSent) reply.error(error);
      else if (!response.writableEnded) reply.drop();
    }
  }

  /** Requests with `Upgrade`: those that do not hijack are answered as if it had not been there. */
  async #upgrade(parts: UpgradeParts, transport: Transport): Promise<void> {
    const reply = new Reply(responseFor(parts), { headers: this.#headers });
    parts.socket.on('error', () => undefined);
    try {
      await this.#dispatch({ request: parts.request, response: null, upgrade: parts }, reply, transport);
    } catch (error) {
      this.#report(parts.request, error);
      if (!reply.isStarted) reply.error(error);
      else parts.socket.destroy();
    }
  }

  async #dispatch(incoming: Incoming, reply: Reply, transport: Transport): Promise<void> {
    const { request } = incoming;
    const refused = refusal(request, transport);
    if (refused !== null) return reply.json(403, { message: refused });
    const url = request.url ?? '/';
    const at = url.indexOf('?');
    let path = at < 0 ? url : url.slice(0, at);
    const version = VERSION_PREFIX.exec(path);
    if (version !== null) path = path.slice(version[0].length);
    const apiVersion = version?.[1] ?? API_VERSION;
    const check = checkVersion(apiVersion);
    if (!check.ok) {
      if (check.form === 'text') return reply.text(400, `${check.message}\n`);
      return reply.json(400, { message: check.message });
    }
    if (request.method === 'OPTIONS') return reply.empty(200);
    const match = (await this.#router).find(request.method ?? 'GET', path);
    if (match === null) return reply.json(404, { message: pageNotFound() });
    await match.handler(
      callOf(incoming, { reply, apiVersion, params: match.params, search: at < 0 ? '' : url.slice(at) }),
    );
  }

  #report(request: IncomingMessage, error: unknown): void {
    const status = statusOf(error);
    // Without the query: addresses with passwords are in it.
    const what = { method: request.method ?? '', path: (request.url ?? '').replace(/\?.*$/s, '') };
    const { log } = this.#options;
    if (request.socket?.destroyed ?? true) return log.debug('the client left before its answer', what);
    const hint = isEngineError(error) ? error.hint : undefined;
    const fields = { ...what, status, error: errorMessage(error), ...(hint !== undefined && { hint }) };
    if (status < INTERNAL) log[hint === undefined ? 'debug' : 'info']('request refused', fields);
    else log.error('request failed', { ...fields, ...stackOf(error) });
  }
}

/** TLS takes milliseconds to load, and most daemons never use it. */
function tlsServer(options: TlsOptions, listener: RequestListener): Server {
  return process.getBuiltinModule('node:https').createServer(options, listener);
}

/** Programmer's errors carry their stack into the log; errors meant for clients do not need it. */
function stackOf(error: unknown): Record<string, string> {
  const plain = error instanceof Error && error.constructor !== Error && error.name !== 'TypeError';
  return plain || !(error instanceof Error) ? {} : { stack: error.stack ?? '' };
}

interface CallParts {
  readonly reply: Reply;
  readonly apiVersion: string;
  readonly params: ReadonlyMap<string, string>;
  readonly search: string;
}

function callOf(incoming: Incoming, parts: CallParts): Call {
  const { request, response, upgrade } = incoming;
  const gone = new AbortController();
  (response ?? request.socket).once('close', () => gone.abort());
  return {
    request,
    query: new URLSearchParams(parts.search),
    param: (name) => parts.params.get(name) ?? '',
    apiVersion: parts.apiVersion,
    reply: parts.reply,
    signal: gone.signal,
    hijack() {
      if (upgrade !== null) return HijackedConnection.upgraded(upgrade);
      if (response === null) throw new Error('a request has neither response nor upgrade');
      return HijackedConnection.plain(request, response);
    },
  };
}

function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Who has asked nothing would take it for the answer to its first request: Go clients connect ahead.
  const hasAsked = !(socket instanceof Socket) || socket.bytesRead > 0;
  if (!hasAsked || !socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
  );
}

/**
 * An HTTP answer for a request that node gave up as an upgrade. It takes the socket with its first write
 * only.
 */
function responseFor(parts: UpgradeParts): ServerResponse {
  const response = new ServerResponse(parts.request);
  response.shouldKeepAlive = false;
  response.on('error', () => undefined);
  response.once('finish', () => parts.socket.end());
  if (parts.request.socket === parts.socket) response.assignSocket(parts.request.socket);
  return response;
}
