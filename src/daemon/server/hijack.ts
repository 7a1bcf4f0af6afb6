import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { OutputFrame } from '#container/ports.ts';
import type { StreamClient } from '#container/container-service.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import { encodeFrame, frameHeader, RAW_STREAM } from '#api/multiplex.ts';
import { OK, statusLine, statusOf, SWITCHING } from './http-status.ts';

/** How long a client may keep a connection half open after everything was sent. */
const LINGER_MS = 10_000;

/** Node's HTTP parser, as it hangs on a connection whose request is being handled. */
interface ParserHolder {
  readonly parser?: { unconsume?(): void } | null;
}

export interface UpgradeParts {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the request in the same packet. */
  readonly head: Buffer;
}

const HIJACKING = /\/(?:containers\/[^/?]+\/attach|exec\/[^/?]+\/start)(?:\?|$)/;

/** Whether a request is one of those that can take their connection over. */
export function mayHijack(request: IncomingMessage): boolean {
  return request.method === 'POST' && HIJACKING.test(request.url ?? '');
}

/**
 * A connection that HTTP let go of: raw bytes both ways. Node hands over a request with `Upgrade` in the
 * `upgrade` event, its body in the request; one without is taken from the parser here. Routes see no
 * difference but the first answer.
 */
export class HijackedConnection {
  readonly #socket: Duplex;
  readonly #head: Buffer;
  readonly #upgraded: boolean;
  readonly #gone = new AbortController();
  #framed = false;

  private constructor(socket: Duplex, head: Buffer, upgraded: boolean) {
    this.#socket = socket;
    this.#head = head;
    this.#upgraded = upgraded;
    socket.on('error', () => undefined);
    socket.once('close', () => this.#gone.abort());
    if (socket.destroyed) this.#gone.abort();
  }

  static upgraded(parts: UpgradeParts): HijackedConnection {
    return new HijackedConnection(parts.socket, parts.head, true);
  }

  /**
   * From a plain request. What the client sends from now on is no longer HTTP, so the parser must not see it.
   */
  static plain(request: IncomingMessage, response: ServerResponse): HijackedConnection {
    const { socket } = request;
    (socket as ParserHolder).parser?.unconsume?.();
    for (const event of ['data', 'end', 'drain', 'timeout']) socket.removeAllListeners(event);
    response.detachSocket(socket);
    return new HijackedConnection(socket, Buffer.alloc(0), false);
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** The first answer. `framed`: frames tell standard output and error apart; otherwise raw bytes. */
  begin(type: string, framed: boolean): void {
    this.#framed = framed;
    const head = this.#upgraded
      ? [statusLine(SWITCHING), `Content-Type: ${type}`, 'Connection: Upgrade', 'Upgrade: tcp']
      : [statusLine(OK), `Content-Type: ${RAW_STREAM}`];
    this.#socket.write(`${head.join('\r\n')}\r\n\r\n`);
  }

  /** An error before the first answer: the reference sends its text on the raw stream. */
  refuse(error: unknown): void {
    const head = [statusLine(statusOf(error)), `Content-Type: ${RAW_STREAM}`, 'Connection: close'];
    this.#socket.write(`${head.join('\r\n')}\r\n\r\n${errorMessage(error)}\r\n`);
    this.end();
  }

  /** An error after the first answer. */
  fail(error: unknown): void {
    const data = Buffer.from(`${errorMessage(error)}\r\n`);
    if (!this.#socket.destroyed)
      this.#socket.write(this.#framed ? encodeFrame({ stream: 'stdout', data }) : data);
  }

  /** The rest of what the client sends; its end is a half-closed connection. */
  async *#input(): AsyncGenerator<Uint8Array> {
    if (this.#head.length > 0) yield this.#head;
    for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
  }

  async #write(frame: OutputFrame): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) throw new EngineError('unavailable', 'the client is gone');
    if (this.#framed) {
      socket.cork();
      socket.write(frameHeader(frame.stream, frame.data.length));
    }
    const more = socket.write(frame.data);
    if (this.#framed) socket.uncork();
    if (!more) await drained(socket);
  }

  client(options: { readonly stdin: boolean }): StreamClient {
    if (!options.stdin) this.#socket.resume();
    return {
      input: options.stdin ? this.#input() : null,
      write: (frame) => this.#write(frame),
      signal: this.#gone.signal,
    };
  }

  /** Sends what is left and closes; a client that stays half open is dropped after a while. */
  end(): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }
}

function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off('drain', settle);
      socket.off('close', settle);
      if (socket.destroyed) reject(new EngineError('unavailable', 'the client is gone'));
      else resolve();
    };
    socket.once('drain', settle);
    socket.once('close', settle);
    if (socket.destroyed) settle();
  });
}
