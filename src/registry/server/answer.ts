import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { STATUS } from './fault.ts';

/** One request on its way through the server. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly query: URLSearchParams;
}

export type AnswerHeaders = Readonly<OutgoingHttpHeaders>;

/** An answer whose body is known whole; HEAD gets its headers. */
export function answerBytes(
  { request, response }: Exchange,
  status: number,
  { headers, body }: { readonly headers: AnswerHeaders; readonly body: Uint8Array },
): void {
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

export function answerJson(exchange: Exchange, value: unknown, headers: AnswerHeaders = {}): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  const type = { 'content-type': 'application/json', ...headers };
  answerBytes(exchange, STATUS.ok, { headers: type, body });
}

export function answerEmpty(exchange: Exchange, status: number, headers: AnswerHeaders): void {
  exchange.response.writeHead(
    status,
    status === STATUS.noContent ? headers : { ...headers, 'content-length': 0 },
  );
  exchange.response.end();
}

/** The body of an answer whose head is written. */
export async function sendStream(exchange: Exchange, bytes: Readable): Promise<void> {
  try {
    await pipeline(bytes, exchange.response);
  } catch {
    // The client went away, or the bytes did: a body that ends early is the only sign left.
    exchange.response.destroy();
  }
}
