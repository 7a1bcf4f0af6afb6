import type { ServerResponse } from 'node:http';
import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { NO_CONTENT, OK, statusOf } from './http-status.ts';

export const JSON_TYPE = 'application/json';

export interface ReplyOptions {
  /** Of every answer. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly onFailure?: (error: unknown) => void;
}

/** `message` is what clients know; `hint`, where there is one, is ours: one sentence that says what to do. */
function errorBody(error: unknown): { readonly message: string; readonly hint?: string } {
  const hint = isEngineError(error) ? error.hint : undefined;
  return { message: errorMessage(error), ...(hint !== undefined && { hint }) };
}

/** Writes answers: whole ones, and streams that go on until the client leaves. */
export class Reply {
  readonly #response: ServerResponse;
  readonly #headers: Map<string, string>;
  /** Told of errors that travel in the middle of an answer. */
  readonly onFailure: (error: unknown) => void;

  constructor(response: ServerResponse, options: ReplyOptions = {}) {
    this.#response = response;
    this.#headers = new Map(options.headers);
    this.onFailure = options.onFailure ?? (() => undefined);
  }

  get isStarted(): boolean {
    return this.#response.headersSent;
  }

  setHeader(name: string, value: string): void {
    this.#headers.set(name, value);
  }

  /** All headers in one go: node takes a list as it is, and merges what comes one by one. */
  #head(status: number, headers: readonly string[]): ServerResponse {
    return this.#response.writeHead(status, [...[...this.#headers].flat(), ...headers]);
  }

  /** Ends with a newline, as the reference's encoder does. */
  json(status: number, value: unknown): void {
    const body = `${JSON.stringify(value)}\n`;
    this.#head(status, ['content-type', JSON_TYPE, 'content-length', `${Buffer.byteLength(body)}`]).end(body);
  }

  text(status: number, text: string): void {
    const type = 'text/plain; charset=utf-8';
    this.#head(status, ['content-type', type, 'content-length', `${Buffer.byteLength(text)}`]).end(text);
  }

  empty(status: number = NO_CONTENT): void {
    const noLength = status === NO_CONTENT || status < OK;
    this.#head(status, noLength ? [] : ['content-length', '0']).end();
  }

  error(error: unknown): void {
    const status = statusOf(error);
    if (status === 304) return this.empty(status);
    this.json(status, errorBody(error));
  }

  /** Sends status and headers now; the body follows in chunks. */
  begin(type: string): void {
    this.#head(OK, ['content-type', type]).flushHeaders();
  }

  /** Resolves when more may be written; rejects when the client is gone. */
  async write(chunk: Uint8Array | string): Promise<void> {
    if (this.#response.destroyed) throw new EngineError('unavailable', 'the client is gone');
    if (this.#response.write(chunk)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#response.off('drain', done);
        this.#response.off('close', done);
        resolve();
      };
      this.#response.once('drain', done);
      this.#response.once('close', done);
    });
  }

  /** Writes without waiting; false when the client lags by more than its bound, and is to be dropped. */
  offer(chunk: string): boolean {
    this.#response.write(chunk);
    return this.#response.writableLength <= LIMITS.readerBufferBytes;
  }

  /** Whether the client has fallen behind: what is written now waits in memory. */
  get isLagging(): boolean {
    return this.#response.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.#response.on('drain', listener);
  }

  end(): void {
    this.#response.end();
  }

  /** Cuts the connection: the client sees that the answer is not whole. */
  drop(): void {
    this.#response.destroy();
  }
}

/**
 * JSON lines that report progress; nothing is sent before the first one, so that early errors have a status
 * of their own. A client that falls behind, as a stopped terminal does, gets the newest line of each thing
 * once it reads again; lines about nothing in particular are all kept.
 */
export class ProgressStream {
  readonly #reply: Reply;
  readonly #held = new Map<string | number, string>();
  #nameless = 0;

  constructor(reply: Reply) {
    this.#reply = reply;
  }

  send(line: object): void {
    if (!this.#reply.isStarted) this.#begin();
    const text = `${JSON.stringify(line)}\r\n`;
    if (!this.#reply.isLagging && this.#held.size === 0) return this.#offer(text);
    const key = 'id' in line && typeof line.id === 'string' ? line.id : this.#nameless++;
    // The newest comes last, as it would have been written.
    this.#held.delete(key);
    this.#held.set(key, text);
  }

  #begin(): void {
    this.#reply.begin(JSON_TYPE);
    this.#reply.onDrain(() => this.#flush());
  }

  #flush(): void {
    const lines = [...this.#held.values()];
    this.#held.clear();
    if (lines.length > 0) this.#offer(lines.join(''));
  }

  #offer(text: string): void {
    if (!this.#reply.offer(text)) this.#reply.drop();
  }

  /** An error after the first line travels as a line; `always` also before it. */
  fail(error: unknown, always = false): void {
    if (!this.#reply.isStarted && !always) throw error;
    this.#reply.onFailure(error);
    const errorDetail = errorBody(error);
    this.send({ errorDetail, error: errorDetail.message });
    this.end();
  }

  end(): void {
    if (!this.#reply.isStarted) this.#begin();
    this.#flush();
    this.#reply.end();
  }
}
