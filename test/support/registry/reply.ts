import { createReadStream, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FaultAct, LedgerEntry } from './plan.ts';

/** An answer before a fault changes it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | { readonly file: string };
}

const PIECE_BYTES = 64 * 1024;
const RESET_PAUSE_MS = 500;
const ENDLESS = Buffer.alloc(PIECE_BYTES, 0x20);

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly entry: LedgerEntry;
}

export function failure(status: number, error: { code: string; message: string; detail?: unknown }): Answer {
  const body = Buffer.from(JSON.stringify({ errors: [error] }));
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body };
}

export function sizeOf(body: Answer['body']): number {
  return Buffer.isBuffer(body) ? body.length : statSync(body.file).size;
}

async function* pieces(body: Answer['body'], from: number): AsyncGenerator<Buffer> {
  if (!Buffer.isBuffer(body)) {
    yield* createReadStream(body.file, { start: from, highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>;
    return;
  }
  for (let at = from; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}

/** Counts what really went to the socket, so that a ledger can say which bytes were sent twice. */
function write({ response, entry }: Exchange, chunk: Buffer): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false);
  entry.sentMs = Date.now();
  return new Promise((resolve) => {
    const gone = (): void => resolve(false);
    response.once('close', gone);
    response.write(chunk, (error) => {
      response.off('close', gone);
      if (error === null || error === undefined) entry.sentBytes += chunk.length;
      resolve(error === null || error === undefined);
    });
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** Sends at most `limit` bytes, at a rate when one is asked for; false when the client is gone. */
async function send(
  exchange: Exchange,
  answer: Answer,
  how: { readonly from: number; readonly limit: number; readonly act: FaultAct | null },
): Promise<boolean> {
  const { act } = how;
  let at = how.from;
  let left = how.limit;
  for await (const piece of pieces(answer.body, how.from)) {
    let chunk = piece.subarray(0, left);
    if (act?.kind === 'corrupt' && act.at >= at && act.at < at + chunk.length) {
      chunk = Buffer.from(chunk);
      chunk[act.at - at] = (chunk[act.at - at] ?? 0) ^ 0xff;
    }
    if (act?.kind === 'slow') {
      const step = Math.max(1, Math.floor(act.bytesPerSecond / 20));
      for (let cut = 0; cut < chunk.length; cut += step) {
        if (!(await write(exchange, chunk.subarray(cut, cut + step)))) return false;
        await pause(50);
      }
    } else if (chunk.length > 0 && !(await write(exchange, chunk))) return false;
    at += chunk.length;
    left -= chunk.length;
    if (left <= 0) return true;
  }
  return true;
}

function rangeStart(request: IncomingMessage, sizeBytes: number): number | 'unsatisfiable' {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (range === null) return 0;
  const start = Number(range[1]);
  return start < sizeBytes ? start : 'unsatisfiable';
}

interface Framing {
  readonly from: number;
  readonly bodyBytes: number;
  /** How much is sent, before the connection is treated as the fault says. */
  readonly limit: number;
}

function frame(act: FaultAct | null, from: number, sizeBytes: number): Framing {
  const whole = sizeBytes - from;
  const kind = act?.kind;
  if (kind === 'stall-after' || kind === 'reset-after')
    return { from, bodyBytes: whole, limit: Math.min(act.bytes, whole) };
  if (kind === 'short') return { from, bodyBytes: whole, limit: Math.max(0, whole - act.bytes) };
  if (kind === 'long') return { from, bodyBytes: whole + act.bytes, limit: whole };
  const bodyBytes = kind === 'shorter' ? Math.max(0, whole - act.bytes) : whole;
  return { from, bodyBytes, limit: bodyBytes };
}

/** Sends an answer as it is, or as a fault wants it. */
export async function deliver(exchange: Exchange, answer: Answer, act: FaultAct | null): Promise<void> {
  const { request, response, entry } = exchange;
  if (act?.kind === 'late') await pause(act.ms);
  entry.sentMs = Date.now();
  const total = sizeOf(answer.body);
  const isRanged = answer.status === 200 && act?.kind !== 'no-range' && request.method === 'GET';
  const start = isRanged ? rangeStart(request, total) : 0;
  if (start === 'unsatisfiable') {
    entry.status = 416;
    response.writeHead(416, { 'content-range': `bytes */${total}` }).end();
    return;
  }
  const framing = frame(act, start, total);
  const extra = act?.kind === 'headers' ? act.headers : {};
  const length = { 'content-length': String(framing.bodyBytes) };
  const part = start > 0 ? { 'content-range': `bytes ${start}-${total - 1}/${total}` } : {};
  entry.status = start > 0 ? 206 : answer.status;
  entry.offset = start;
  response.writeHead(entry.status, { ...length, ...part, ...answer.headers, ...extra });
  if (request.method === 'HEAD') return void response.end();
  response.flushHeaders();
  if (!(await send(exchange, answer, { from: start, limit: framing.limit, act }))) return;
  if (act?.kind === 'long') await write(exchange, Buffer.alloc(act.bytes));
  if (act?.kind === 'stall-after') return;
  if (act?.kind === 'reset-after') {
    // What a reset finds in the kernel's buffers is lost: the receiver gets the time to read.
    await pause(RESET_PAUSE_MS);
    return void response.socket?.resetAndDestroy();
  }
  if (act?.kind === 'short') return void response.socket?.destroy();
  response.end();
}

/** Faults that answer themselves; false when the real answer is wanted. */
export async function deliverFault(exchange: Exchange, act: FaultAct): Promise<boolean> {
  const { response, entry, request } = exchange;
  const { kind } = act;
  if (kind === 'stall-before-headers') return true;
  if (kind === 'reset' || kind === 'close') {
    if (kind === 'reset') response.socket?.resetAndDestroy();
    else response.socket?.destroy();
    return true;
  }
  if (kind === 'endless') {
    entry.status = 200;
    response.writeHead(200, act.headers);
    if (request.method === 'HEAD') response.end();
    while (await write(exchange, ENDLESS));
    return true;
  }
  if (kind !== 'status' && kind !== 'redirect' && kind !== 'body') return false;
  entry.status = kind === 'body' ? 200 : (act.status ?? 307);
  const body = kind === 'body' ? Buffer.from(act.base64, 'base64') : textOf(act);
  const headers = kind === 'redirect' ? { location: act.to } : act.headers;
  response.writeHead(entry.status, { 'content-length': String(body.length), ...headers });
  response.end(request.method === 'HEAD' ? undefined : body);
  return true;
}

function textOf(act: FaultAct): Buffer {
  return Buffer.from(act.kind === 'status' ? (act.body ?? '') : '');
}
