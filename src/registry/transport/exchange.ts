import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { errorCode } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { RegistryError } from '../errors.ts';
import type { Agents } from './agents.ts';
import { goReason, Overdue, requestError, type Phase } from './go-errors.ts';
import { isRedirect, nextHop } from './redirects.ts';
import type { Timings } from './timings.ts';

/* One request and its answer: redirects followed, every wait bounded. */

export interface OutgoingBody {
  readonly sizeBytes: number;
  /** Called again for every repetition. */
  readonly open: () => AsyncIterable<Uint8Array>;
  /** It carries credentials: sent to the origin of the address and nowhere else. */
  readonly isSecret?: true;
}

export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` and nowhere else. */
  readonly authorization: string | null;
  readonly body?: OutgoingBody;
  readonly signal: AbortSignal;
  readonly skipVerify: boolean;
}

export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingHttpHeaders;
  readonly challenges: readonly string[];
  /** The address that gave it, behind all redirects. */
  readonly url: URL;
  readonly method: string;
  readonly message: IncomingMessage;
  /** Lets the rest of it go. */
  discard(): void;
}

export interface Wire {
  readonly agents: Agents;
  readonly timings: Timings;
  readonly userAgent: string;
}

/** A body to send whose own source failed: no fault of the registry's. */
class SourceFailure extends Error {}

interface Waiting {
  /** The two ends of the connection, as soon as it stands. */
  ends: string | undefined;
  /** Until when the other side's certificate holds. */
  validTo: string | undefined;
  end(): void;
  refresh(): void;
  headers(): void;
}

function endsOf(socket: Socket): string {
  const end = (address = '', port = 0): string =>
    `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return `${end(socket.localAddress, socket.localPort)}->${end(socket.remoteAddress, socket.remotePort)}`;
}

/** Node tells nobody of a request's end before it has a socket: the way through a proxy may take long. */
function end(request: http.ClientRequest, error: Error): void {
  request.destroy(error);
  if (!request.socket) request.emit('error', error);
}

/** Ends a request whose other side takes too long; each phase has a time of its own. */
function watch(request: http.ClientRequest, url: URL, timings: Timings): Waiting {
  const target = url.port === '' ? `${url.hostname}:${url.protocol === 'https:' ? 443 : 80}` : url.host;
  let timer: NodeJS.Timeout;
  const phase = (name: Phase, ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => end(request, new Overdue(name, target)), ms);
  };
  let isNamed = isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0;
  timer = setTimeout(
    () => end(request, new Overdue(isNamed ? 'lookup' : 'connect', target)),
    timings.connectMs,
  );
  const waiting: Waiting = {
    ends: undefined,
    validTo: undefined,
    end: () => clearTimeout(timer),
    refresh: () => phase('body', timings.idleMs),
    headers: () => phase('headers', timings.firstByteMs),
  };
  request.once('socket', (socket) => {
    const secure = socket as TLSSocket & { secureConnecting?: boolean };
    const connected = (): void => {
      waiting.ends = endsOf(socket);
      if (secure.secureConnecting === true) phase('handshake', timings.connectMs);
      else waiting.headers();
    };
    // A kept connection has no more of these events: listeners would pile up.
    if (socket.connecting) {
      socket.once('lookup', () => {
        isNamed = false;
      });
      socket.once('connect', connected);
    } else connected();
    if (secure.secureConnecting !== true) return;
    socket.once('secureConnect', waiting.headers);
    // A certificate that is refused is gone with its connection: it is looked at before Node judges it.
    socket.prependOnceListener('secure', () => {
      waiting.validTo = (secure.getPeerCertificate() as { valid_to?: string } | null)?.valid_to;
    });
  });
  return waiting;
}

async function sendBody(
  request: http.ClientRequest,
  body: OutgoingBody,
  progress: () => void,
): Promise<void> {
  let isAnswered = false;
  let wake = (): void => undefined;
  request.once('response', () => {
    isAnswered = true;
    wake();
  });
  request.on('drain', () => wake());
  request.once('close', () => wake());
  const isOver = (): boolean => request.destroyed || isAnswered;
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  try {
    for await (const chunk of body.open()) {
      if (isOver()) return;
      if (!request.write(chunk)) await drained();
      if (isOver()) return;
      progress();
    }
  } catch (error) {
    if (!isOver()) request.destroy(new SourceFailure('source', { cause: error }));
    return;
  }
  request.end();
}

function asAnswer(request: http.ClientRequest, message: IncomingMessage, out: Outgoing): Answer {
  const length = Number(message.headers['content-length'] ?? Infinity);
  return {
    status: message.statusCode ?? 0,
    statusText: message.statusMessage ?? '',
    headers: message.headers,
    challenges: message.headersDistinct['www-authenticate'] ?? [],
    url: out.url,
    method: out.method,
    message,
    discard: () => {
      const isSmall = out.method === 'HEAD' || length <= LIMITS.errorBodyBytes;
      message.on('error', () => undefined);
      if (isSmall && request.writableFinished) message.resume();
      else request.destroy();
    },
  };
}

function sendOnce(wire: Wire, out: Outgoing, agent: http.Agent): Promise<Answer> {
  const { method, url, body, authorization } = out;
  const headers = {
    'user-agent': wire.userAgent,
    'accept-encoding': 'identity',
    ...out.headers,
    ...(authorization === null ? {} : { authorization }),
    ...(body === undefined ? {} : { 'content-length': String(body.sizeBytes) }),
  };
  return new Promise((resolve, reject) => {
    const module = url.protocol === 'https:' ? https : http;
    const request = module.request(url, { method, headers, agent, signal: out.signal });
    const waiting = watch(request, url, wire.timings);
    const abort = (): void => end(request, out.signal.reason as Error);
    out.signal.addEventListener('abort', abort);
    const settled = (): void => {
      waiting.end();
      out.signal.removeEventListener('abort', abort);
    };
    request.on('error', (error) => {
      settled();
      if (out.signal.aborted) reject(out.signal.reason as Error);
      else if (error instanceof SourceFailure) reject(error.cause);
      else {
        reject(new Broken(error, { ...waiting, wasReused: request.reusedSocket }));
      }
    });
    request.on('response', (message) => {
      settled();
      resolve(asAnswer(request, message, out));
    });
    if (body === undefined) {
      request.end();
      return;
    }
    request.once('finish', waiting.headers);
    void sendBody(request, body, waiting.refresh);
  });
}

interface BrokenFacts {
  readonly wasReused: boolean;
  readonly ends: string | undefined;
  /** Until when the other side's certificate holds. */
  readonly validTo: string | undefined;
}

/** A failure before the answer, with what is known about the connection. */
class Broken extends Error {
  readonly isStale: boolean;

  constructor(cause: Error & { cert?: unknown; ends?: string }, { wasReused, ends, validTo }: BrokenFacts) {
    super(cause.message, { cause });
    this.isStale = wasReused && ['ECONNRESET', 'EPIPE'].includes(errorCode(cause) ?? '');
    if (ends !== undefined) cause.ends = ends;
    if (validTo !== undefined && cause.cert === undefined) cause.cert = { valid_to: validTo };
  }
}

const PROXY_HINT = 'Proxies are named as http://host:port, https://host:port or socks5://host:port.';

async function send(wire: Wire, out: Outgoing): Promise<Answer> {
  const problem = wire.agents.problemOf(out.url);
  if (problem !== null)
    throw requestError(out, `proxyconnect tcp: ${problem}`, { permanent: true, hint: PROXY_HINT });
  for (;;) {
    const agent = await wire.agents.for(out.url, out.skipVerify);
    try {
      return await sendOnce(wire, out, agent);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      // A kept connection that the other end had closed: nothing was answered, a new one is made.
      if (error.isStale && (out.method === 'GET' || out.method === 'HEAD')) continue;
      const reason = goReason(error.cause);
      const isProxy = reason.startsWith('dial tcp') && wire.agents.hasProxy(out.url);
      throw requestError(out, isProxy ? `proxyconnect tcp: ${reason}` : reason, { cause: error.cause });
    }
  }
}

/** Sends it, and follows where it is sent to. Errors: `RegistryError`, or the signal's reason. */
export async function exchange(wire: Wire, first: Outgoing): Promise<Answer> {
  let out = first;
  for (let hops = 0; ; hops++) {
    out.signal.throwIfAborted();
    const answer = await send(wire, out);
    const location = answer.headers.location;
    if (!isRedirect(answer.status) || location === undefined) return answer;
    answer.discard();
    if (hops === LIMITS.registryRedirects)
      throw requestError(out, `stopped after ${LIMITS.registryRedirects} redirects`, { permanent: true });
    const { body, ...rest } = out;
    const hasSecretBody = body?.isSecret === true;
    const hop = nextHop(
      { method: out.method, url: out.url, status: answer.status, location, hasSecretBody },
      { allowPlain: out.skipVerify },
    );
    if (typeof hop === 'string') throw requestError(out, hop, { permanent: true });
    out = {
      ...rest,
      url: hop.url,
      authorization: hop.keepsAuthorization ? out.authorization : null,
      ...(body === undefined || !hop.keepsBody ? {} : { body }),
    };
  }
}

/**
 * The body in pieces; nothing for `idleMs` while somebody waits ends it. Errors: `RegistryError` of status 0.
 */
export async function* pieces(answer: Answer, wire: Wire, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { message } = answer;
  let isWaiting = true;
  const timer = setTimeout(() => {
    if (isWaiting) message.destroy(new Overdue('body'));
  }, wire.timings.idleMs);
  try {
    for await (const chunk of message) {
      isWaiting = false;
      yield chunk as Buffer;
      isWaiting = true;
      timer.refresh();
    }
    if (!message.complete) throw new Error('aborted');
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RegistryError) throw error;
    throw requestError(answer, error instanceof Overdue ? goReason(error) : 'unexpected EOF', {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    if (!message.complete) answer.discard();
  }
}

/** A whole body of at most `maxBytes`, within `documentMs`. Null: it is longer. */
export async function readDocument(answer: Answer, wire: Wire, maxBytes: number): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  const deadline = AbortSignal.timeout(wire.timings.documentMs);
  const stop = (): void => {
    answer.message.destroy(new Overdue('body'));
  };
  deadline.addEventListener('abort', stop);
  try {
    for await (const piece of pieces(answer, wire, NEVER)) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) return null;
      parts.push(piece);
    }
    return Buffer.concat(parts, sizeBytes);
  } finally {
    deadline.removeEventListener('abort', stop);
  }
}

const NEVER = new AbortController().signal;
