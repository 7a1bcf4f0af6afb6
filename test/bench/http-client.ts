/** HTTP/1.1 over unix sockets with nothing around it: what the client costs lies in every figure. */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The monotonic clock when the request was written to the socket. */
  readonly askedAt: bigint;
}

export interface Payload {
  readonly type: string;
  readonly bytes: Buffer;
}

const HEAD_END = '\r\n\r\n';
const LINE_FEED = 10;

interface Head {
  readonly status: number;
  /** Of the body: bytes, or how its end is told. */
  readonly length: number | 'chunked' | 'close';
  readonly keeps: boolean;
  /** Where the body begins. */
  readonly end: number;
}

function parseHead(bytes: Buffer): Head | null {
  const at = bytes.indexOf(HEAD_END);
  if (at < 0) return null;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, at).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const status = Number(statusLine.split(' ')[1]);
  if (!(status >= 200)) throw new Error(`an answer begins with ${JSON.stringify(statusLine)}`);
  const given = headers.get('content-length');
  const isEmpty = status === 204 || status === 304;
  const isChunked = headers.get('transfer-encoding')?.toLowerCase() === 'chunked';
  const length = isEmpty ? 0 : isChunked ? 'chunked' : given === undefined ? 'close' : Number(given);
  const keeps = length !== 'close' && headers.get('connection')?.toLowerCase() !== 'close';
  return { status, length, keeps, end: at + HEAD_END.length };
}

/** The body without its chunks' frames; null as long as it is not whole. */
function unchunk(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error('a chunk without its size');
    const begin = lineEnd + 2;
    if (begin + size + 2 > bytes.length) return null;
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(begin, begin + size));
    at = begin + size + 2;
  }
}

/** One answer while it arrives. */
class Arriving {
  readonly #pieces: Buffer[] = [];
  #size = 0;
  #head: Head | null = null;

  get head(): Head | null {
    return this.#head;
  }

  /** The body, once it is whole. */
  take(piece: Buffer): Buffer | null {
    this.#pieces.push(piece);
    this.#size += piece.length;
    this.#head ??= parseHead(this.#all());
    if (this.#head === null) return null;
    const { length, end } = this.#head;
    if (length === 'close') return null;
    if (length === 'chunked') return piece.at(-1) === LINE_FEED ? unchunk(this.#all().subarray(end)) : null;
    return this.#size - end >= length ? this.#all().subarray(end) : null;
  }

  /** The body when the connection has ended. Errors: it is torn. */
  ended(): Buffer {
    if (this.#head?.length !== 'close') throw new Error('the connection ended before the answer did');
    return this.#all().subarray(this.#head.end);
  }

  #all(): Buffer {
    if (this.#pieces.length > 1) this.#pieces.splice(0, this.#pieces.length, Buffer.concat(this.#pieces));
    return this.#pieces[0] ?? Buffer.alloc(0);
  }
}

function requestBytes(line: string, payload: Payload | undefined): string | Buffer {
  const head = `${line} HTTP/1.1\r\nHost: docker\r\n`;
  if (payload === undefined) return `${head}Content-Length: 0${HEAD_END}`;
  const { type, bytes } = payload;
  const whole = `${head}Content-Type: ${type}\r\nContent-Length: ${bytes.length}${HEAD_END}`;
  return Buffer.concat([Buffer.from(whole), bytes]);
}

/**
 * Keeps the connections that the engine keeps, and makes another for one that it has ended; a request takes
 * one for itself.
 */
export class HttpClient {
  readonly #path: string;
  readonly #idle = new Set<Socket>();
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  async request(method: string, target: string, payload?: Payload): Promise<Answer> {
    const bytes = requestBytes(`${method} ${target}`, payload);
    const socket = this.#takeIdle() ?? (await this.#connect());
    return new Promise((resolve, reject) => {
      const arriving = new Arriving();
      const askedAt = process.hrtime.bigint();
      const settle = (body: Buffer): void => {
        const { status = 0, keeps = false } = arriving.head ?? {};
        socket.removeAllListeners();
        socket.on('error', () => undefined);
        if (keeps) this.#keep(socket);
        else this.#replace(socket);
        resolve({ status, text: body.toString(), askedAt });
      };
      const guarded = (step: () => Buffer | null) => (): void => {
        try {
          const body = step();
          if (body !== null) settle(body);
        } catch (error) {
          socket.destroy();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      socket.on('data', (piece: Buffer) => guarded(() => arriving.take(piece))());
      socket.on(
        'end',
        guarded(() => arriving.ended()),
      );
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the connection was closed')));
      socket.write(bytes);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#idle) socket.destroy();
    this.#idle.clear();
  }

  #takeIdle(): Socket | undefined {
    // The last one used is the least likely to be closed by the engine.
    const socket = [...this.#idle].at(-1);
    if (socket !== undefined) this.#idle.delete(socket);
    socket?.removeAllListeners();
    return socket;
  }

  #keep(socket: Socket): void {
    this.#idle.add(socket);
    const leave = (): void => {
      this.#idle.delete(socket);
      socket.destroy();
    };
    // Its end is seen only while it is read.
    socket.on('end', leave).on('close', leave).resume();
  }

  #replace(ended: Socket): void {
    ended.destroy();
    setImmediate(() => {
      if (this.#isClosed) return;
      void this.#connect().then(
        (socket) => (this.#isClosed ? socket.destroy() : this.#keep(socket)),
        () => undefined,
      );
    });
  }

  #connect(): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const socket = connect({ path: this.#path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    return promise;
  }
}
