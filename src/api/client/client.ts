import {
  request as plainRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { JsonObject } from '#base/json.ts';
import { parseJson } from '#base/json.ts';
import type { Endpoint } from './endpoint.ts';

/** The engine answered with an error: `status` and its text. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The engine cannot be reached; the text is the one that users of the reference's command line know. */
export class CannotConnect extends Error {}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** A body that is sent as it comes, such as an archive. */
  readonly upload?: Readable;
}

/** A hijacked connection: raw bytes in both directions, framed when `multiplexed`. */
export interface Hijacked {
  readonly socket: Socket;
  readonly multiplexed: boolean;
}

const API_VERSION = '1.51';
/** An error's body is a short JSON object; nothing longer is read. */
const ERROR_BODY_BYTES = 65_536;

function queryText(query: Query | undefined): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  if (pairs.length === 0) return '';
  return `?${pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`).join('&')}`;
}

async function readText(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function errorOf(response: IncomingMessage): Promise<ApiError> {
  const status = response.statusCode ?? 0;
  const text = await readText(response, ERROR_BODY_BYTES);
  try {
    const body = parseJson(text, 'answer') as JsonObject;
    if (typeof body['message'] === 'string') return new ApiError(status, body['message'].trim());
  } catch {
    // Not JSON: the text itself says what is wrong.
  }
  return new ApiError(status, text.trim() || `unexpected answer ${status}`);
}

/** Speaks the Engine API with one engine; every call opens at most one connection. */
export class EngineClient {
  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  /** JSON in, JSON out; `null` where the answer has no body. Errors: `ApiError`, `CannotConnect`. */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.stream(method, path, options);
    const text = await readText(response, Number.POSITIVE_INFINITY);
    return (text === '' ? null : JSON.parse(text)) as T;
  }

  /** The answer as it arrives. */
  async stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const { request, answered } = await this.#send(method, path, { ...options, headers: {} });
    void request;
    const response = await answered;
    if ((response.statusCode ?? 500) >= 400) throw await errorOf(response);
    return response;
  }

  /** Turns the connection into a raw stream (attach, exec start). */
  async hijack(path: string, options: CallOptions = {}): Promise<Hijacked> {
    const headers = { connection: 'Upgrade', upgrade: 'tcp' };
    const { request, answered } = await this.#send('POST', path, { ...options, headers });
    const { promise, resolve, reject } = Promise.withResolvers<Hijacked>();
    request.on('upgrade', (response: IncomingMessage, socket: Socket, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ socket, multiplexed: (response.headers['content-type'] ?? '').includes('multiplexed') });
    });
    answered.then(
      async (response) => reject(await errorOf(response)),
      (error: unknown) => reject(error as Error),
    );
    return promise;
  }

  async #send(
    method: string,
    path: string,
    options: CallOptions & { readonly headers: Record<string, string> },
  ): Promise<{ request: ClientRequest; answered: Promise<IncomingMessage> }> {
    const { endpoint } = this;
    const payload = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const headers: Record<string, string | number> = {
      host: 'gantry',
      'user-agent': 'gantry',
      ...options.headers,
    };
    if (payload !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = payload.length;
    } else if (options.upload !== undefined) headers['content-type'] = 'application/x-tar';
    else if (method === 'POST') headers['content-length'] = 0;
    const settings: RequestOptions = {
      ...endpoint.connect,
      method,
      path: `/v${API_VERSION}${path}${queryText(options.query)}`,
      headers,
      agent: false,
    };
    const request = endpoint.tls === null ? plainRequest(settings) : await this.#secureRequest(settings);
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', (error: NodeJS.ErrnoException) => reject(this.#connectError(error)));
    });
    if (options.upload !== undefined) options.upload.pipe(request);
    else request.end(payload);
    return { request, answered };
  }

  /** TLS is loaded only where it is used: a plain command starts faster without it. */
  async #secureRequest(settings: RequestOptions): Promise<ClientRequest> {
    const { request } = await import('node:https');
    const { tls } = this.endpoint;
    return request({
      ...settings,
      ...(tls?.ca && { ca: tls.ca }),
      ...(tls?.cert && { cert: tls.cert }),
      ...(tls?.key && { key: tls.key }),
      rejectUnauthorized: tls?.verify ?? true,
    });
  }

  #connectError(error: NodeJS.ErrnoException): Error {
    const { host } = this.endpoint;
    if (error.code === 'EACCES') {
      return new CannotConnect(
        `permission denied while trying to connect to the engine at ${host}; be root or a member of the socket's group`,
      );
    }
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
      return new CannotConnect(
        `Cannot connect to the gantry daemon at ${host}. Is the daemon running? (start it with gantryd)`,
      );
    }
    return error;
  }
}
