import type { Socket } from 'node:net';
import { negotiateVersion } from '../version.ts';
import { connect, parseEndpoint, type Endpoint, type TlsFiles } from './endpoint.ts';
import { ApiError, ClientError, type ErrorAnswer } from './errors.ts';
import { encodeHead, readBody, readResponseHead, SocketReader, type ResponseHead } from './wire.ts';

export type QueryValue = string | number | boolean | readonly string[] | undefined;
/** Values left out or undefined do not travel; true is `1`, false is left out. */
export type Query = Readonly<Record<string, QueryValue>>;

export interface ClientOptions {
  /** `unix:///run/gantry.sock`, `tcp://127.0.0.1:2376`. */
  readonly host: string;
  readonly tls?: TlsFiles;
  /** Pins the API version; otherwise the first request asks for the daemon's. */
  readonly apiVersion?: string;
  readonly userAgent?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallOptions {
  readonly query?: Query | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent in chunks as it comes. */
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** False: the path goes without a version in front. */
  readonly versioned?: boolean;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** To be read to its end or cancelled by `close`. */
  readonly body: AsyncGenerator<Buffer>;
  close(): void;
}

export interface Hijacked {
  readonly status: number;
  readonly contentType: string;
  /** What the daemon sends, from the first byte behind its headers. */
  readonly output: AsyncGenerator<Buffer>;
  /** `end()` half-closes: the process sees the end of its standard input. */
  readonly socket: Socket;
}

const STATUS_ERROR = 400;
const STATUS_UPGRADED = 101;

export function encodeQuery(query: Query | undefined): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === false || value === '') continue;
    const values = typeof value === 'object' ? value : [value === true ? '1' : String(value)];
    for (const one of values) pairs.append(name, one);
  }
  const text = pairs.toString();
  return text === '' ? '' : `?${text}`;
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** An error answer: `{"message": …, "hint": …}`, or plain text from old daemons and proxies. */
function errorAnswer(status: number, answer: string): ErrorAnswer {
  try {
    const parsed: unknown = JSON.parse(answer);
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) {
      const hint = 'hint' in parsed ? { hint: String(parsed.hint) } : {};
      return { message: String(parsed.message), ...hint };
    }
  } catch {
    // Plain text: used as it is.
  }
  return { message: answer.trim() === '' ? `the daemon answered with status ${status}` : answer.trim() };
}

/** A typed conversation with one daemon. The per-noun files beside this one know paths and bodies. */
export class EngineClient {
  readonly host: string;
  readonly #endpoint: Endpoint;
  readonly #options: ClientOptions;
  #version: Promise<string> | undefined;

  constructor(options: ClientOptions) {
    this.host = options.host;
    this.#endpoint = parseEndpoint(options.host);
    this.#options = options;
    if (options.apiVersion !== undefined) this.#version = Promise.resolve(options.apiVersion);
  }

  /** The version spoken, negotiated once. */
  version(): Promise<string> {
    this.#version ??= this.#negotiate();
    return this.#version;
  }

  async #negotiate(): Promise<string> {
    for (const method of ['HEAD', 'GET']) {
      const answer = await this.raw(method, '/_ping', { versioned: false });
      answer.close();
      const offered = answer.headers.get('api-version');
      if (offered !== undefined) return negotiateVersion(offered);
    }
    return negotiateVersion(undefined);
  }

  #headers(method: string, call: CallOptions, body: Buffer | undefined): Map<string, string> {
    const { kind } = this.#endpoint;
    const host = kind === 'tcp' ? `${this.#endpoint.host}:${this.#endpoint.port}` : 'api.moby.localhost';
    const headers = new Map<string, string>([
      ['host', host],
      ['user-agent', this.#options.userAgent ?? 'gantry'],
      ...Object.entries({ ...this.#options.headers, ...call.headers }),
    ]);
    if (body !== undefined)
      headers.set('content-type', 'application/json').set('content-length', `${body.length}`);
    else if (call.stream !== undefined) headers.set('transfer-encoding', 'chunked');
    else if (method !== 'GET' && method !== 'HEAD') headers.set('content-length', '0');
    if (call.contentType !== undefined) headers.set('content-type', call.contentType);
    return headers;
  }

  async #send(method: string, path: string, call: CallOptions & { upgrade?: boolean }): Promise<Socket> {
    call.signal?.throwIfAborted();
    const version = call.versioned === false ? '' : `/v${await this.version()}`;
    const prefix = this.#endpoint.kind === 'tcp' ? this.#endpoint.prefix : '';
    const body = call.json === undefined ? undefined : Buffer.from(JSON.stringify(call.json));
    const headers = this.#headers(method, call, body);
    headers.set('connection', call.upgrade === true ? 'Upgrade' : 'close');
    if (call.upgrade === true) headers.set('upgrade', 'tcp');
    const head = Buffer.from(
      encodeHead({ method, path: `${prefix}${version}${path}${encodeQuery(call.query)}`, headers }),
      'latin1',
    );
    const socket = await connect(this.#endpoint, this.host, this.#options.tls);
    const abort = (): void => void socket.destroy(new ClientError('context canceled'));
    call.signal?.addEventListener('abort', abort, { once: true });
    socket.once('close', () => call.signal?.removeEventListener('abort', abort));
    socket.write(body === undefined ? head : Buffer.concat([head, body]));
    if (call.stream !== undefined) void sendChunks(socket, call.stream);
    return socket;
  }

  /** Any answer, errors included. */
  async raw(method: string, path: string, call: CallOptions = {}): Promise<ApiResponse> {
    const socket = await this.#send(method, path, call);
    const reader = new SocketReader(socket);
    const head = await readHead(reader, socket, call.signal);
    return {
      ...head,
      body: closing(readBody(reader, head, method), socket),
      close: () => void socket.destroy(),
    };
  }

  /** Errors of the daemon are thrown as `ApiError`. */
  async call(method: string, path: string, call: CallOptions = {}): Promise<ApiResponse> {
    const response = await this.raw(method, path, call);
    if (response.status < STATUS_ERROR) return response;
    throw new ApiError(response.status, errorAnswer(response.status, await readText(response.body)));
  }

  async json<T>(method: string, path: string, call: CallOptions = {}): Promise<T> {
    return JSON.parse(await readText((await this.call(method, path, call)).body)) as T;
  }

  /** For requests whose answer says nothing but its status. */
  async send(method: string, path: string, call: CallOptions = {}): Promise<number> {
    const response = await this.call(method, path, call);
    await readText(response.body);
    return response.status;
  }

  /** One value per line of a progress or event stream. */
  async *lines<T>(method: string, path: string, call: CallOptions = {}): AsyncGenerator<T> {
    const response = await this.call(method, path, call);
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.trim() !== '') yield JSON.parse(part) as T;
    }
    if (rest.trim() !== '') yield JSON.parse(rest) as T;
  }

  /** Takes the connection over after the answer's headers: attach and exec. */
  async hijack(method: string, path: string, call: CallOptions = {}): Promise<Hijacked> {
    const socket = await this.#send(method, path, { ...call, upgrade: true });
    const reader = new SocketReader(socket);
    const head = await readHead(reader, socket, call.signal);
    if (head.status !== STATUS_UPGRADED && head.status >= STATUS_ERROR) {
      const answer = await readText(readBody(reader, head, method));
      socket.destroy();
      throw new ApiError(head.status, errorAnswer(head.status, answer));
    }
    return {
      status: head.status,
      contentType: head.headers.get('content-type') ?? '',
      output: reader.toEnd(),
      socket,
    };
  }
}

async function readHead(
  reader: SocketReader,
  socket: Socket,
  signal: AbortSignal | undefined,
): Promise<ResponseHead> {
  try {
    return await readResponseHead(reader);
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    throw error;
  }
}

/** Closes the connection when the body was read, or given up. */
async function* closing(body: AsyncGenerator<Buffer>, socket: Socket): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } finally {
    socket.destroy();
  }
}

/** A daemon that answers early closes the connection: what is left of the upload is then of no use. */
async function sendChunks(socket: Socket, source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of source) {
      if (socket.destroyed) return;
      if (chunk.length === 0) continue;
      socket.write(`${chunk.length.toString(16)}\r\n`);
      socket.write(chunk);
      if (!socket.write('\r\n')) await drained(socket);
    }
    socket.write('0\r\n\r\n');
  } catch (error) {
    socket.destroy(error instanceof Error ? error : new ClientError(String(error)));
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
    if (socket.destroyed) done();
  });
}
