import type { Socket } from 'node:net';
import { ClientError } from './errors.ts';

/*
 * HTTP/1.1 from the client's side, as much of it as talking to an engine takes: one request per connection,
 * bodies by length, by chunks or to the end, informational answers skipped, upgrades. A command-line client
 * that starts in milliseconds pays for every module it loads, and a hijacked connection needs the socket
 * itself anyway.
 */

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; a repeated header's values joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
}

const HEAD_BYTES = 1 << 20;
const CRLF2 = Buffer.from('\r\n\r\n');
const BREAK = /[\r\n\0]/;

export function encodeHead(head: RequestHead): string {
  const lines = [`${head.method} ${head.path} HTTP/1.1`];
  for (const [name, value] of head.headers) {
    if (BREAK.test(name) || BREAK.test(value))
      throw new ClientError(`invalid header field value for ${JSON.stringify(name)}`);
    lines.push(`${name}: ${value}`);
  }
  if (BREAK.test(head.path) || head.path.includes(' ')) throw new ClientError('invalid request path');
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export function parseResponseHead(text: string): ResponseHead {
  const [first = '', ...rest] = text.split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3})(?: .*)?$/.exec(first);
  if (match === null) throw new ClientError(`malformed HTTP response ${JSON.stringify(first.slice(0, 80))}`);
  const headers = new Map<string, string>();
  for (const line of rest) {
    const at = line.indexOf(':');
    if (at <= 0) throw new ClientError('malformed HTTP response header');
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  return { status: Number(match[1]), headers };
}

/** Reads a socket piece by piece, giving back what was read too far. Backpressure is the socket's own. */
export class SocketReader {
  readonly #iterator: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#iterator = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  /** The next bytes, or null at the end. */
  async next(): Promise<Buffer | null> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    const step = await this.#iterator.next();
    return step.done === true ? null : step.value;
  }

  /** Up to and without `separator`. */
  async until(separator: Buffer): Promise<string> {
    let seen: Buffer = Buffer.alloc(0);
    for (;;) {
      const at = seen.indexOf(separator);
      if (at >= 0) {
        this.#rest = seen.subarray(at + separator.length);
        return seen.subarray(0, at).toString('latin1');
      }
      if (seen.length > HEAD_BYTES) throw new ClientError('HTTP response header too large');
      const chunk = await this.next();
      if (chunk === null) throw new ClientError(seen.length === 0 ? 'EOF' : 'unexpected EOF');
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    }
  }

  async *exactly(length: number): AsyncGenerator<Buffer> {
    let left = length;
    while (left > 0) {
      const chunk = await this.next();
      if (chunk === null) throw new ClientError('unexpected EOF');
      if (chunk.length > left) this.#rest = chunk.subarray(left);
      yield chunk.subarray(0, left);
      left -= Math.min(left, chunk.length);
    }
  }

  async *toEnd(): AsyncGenerator<Buffer> {
    for (let chunk = await this.next(); chunk !== null; chunk = await this.next()) yield chunk;
  }
}

/** Skips 1xx answers other than 101. */
export async function readResponseHead(reader: SocketReader): Promise<ResponseHead> {
  for (;;) {
    const head = parseResponseHead(await reader.until(CRLF2));
    if (head.status >= 200 || head.status === 101) return head;
  }
}

async function* chunked(reader: SocketReader): AsyncGenerator<Buffer> {
  const line = Buffer.from('\r\n');
  for (;;) {
    const size = /^([0-9a-f]{1,8})(?:;.*)?$/i.exec(await reader.until(line));
    if (size?.[1] === undefined) throw new ClientError('malformed chunked encoding');
    const length = Number.parseInt(size[1], 16);
    if (length === 0) break;
    yield* reader.exactly(length);
    await reader.until(line);
  }
  while ((await reader.until(line)) !== '') continue;
}

export function readBody(reader: SocketReader, head: ResponseHead, method: string): AsyncGenerator<Buffer> {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return reader.exactly(0);
  if (head.headers.get('transfer-encoding')?.toLowerCase().includes('chunked')) return chunked(reader);
  const length = head.headers.get('content-length');
  return length === undefined ? reader.toEnd() : reader.exactly(Number(length));
}
