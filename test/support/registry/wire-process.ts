/**
 * The wire between a daemon and a real registry, as a process in the daemon's network namespace: hands every
 * request on, counts the bytes, slows them down, and breaks what it is told to break.
 */
import { createServer, type IncomingMessage, request as send, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { FromWire, ToWire, WireAct, WireEnds, WireEntry, WireFault } from './wire-plan.ts';

const HOST = '127.0.0.1';
/** Smaller pieces come closer to the byte at which a fault strikes, and to an even rate. */
const PIECE_BYTES = 16 * 1024;

class Wire {
  readonly #ends: WireEnds;
  readonly #met = new Map<WireFault, number>();
  faults: readonly WireFault[] = [];
  ledger: WireEntry[] = [];

  constructor(ends: WireEnds) {
    this.#ends = ends;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = request;
    const entry: WireEntry = {
      ...{ method, url, bodyBytes: Number(headers['content-length'] ?? 0) },
      ...{ contentRange: headers['content-range'] ?? '', sentBytes: 0, status: 0, fault: '' },
    };
    this.ledger.push(entry);
    const act = this.#actFor(entry);
    entry.fault = act?.kind ?? '';
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    this.#handOn({ request, response, entry, act }).catch(() => response.destroy());
  }

  #actFor({ method, url, bodyBytes }: WireEntry): WireAct | null {
    for (const fault of this.faults) {
      if (fault.method !== method || !new RegExp(fault.path).test(url)) continue;
      if (bodyBytes < (fault.minBytes ?? 0)) continue;
      const met = (this.#met.get(fault) ?? 0) + 1;
      this.#met.set(fault, met);
      const { skip = 0, times = Number.POSITIVE_INFINITY } = fault;
      if (met > skip && met <= skip + times) return fault.act;
    }
    return null;
  }

  async #handOn(call: Call): Promise<void> {
    const { request, response, entry, act } = call;
    if (act?.kind === 'status') {
      // All of the body first: a refusal that comes before it may be lost with the connection.
      for await (const chunk of request) void chunk;
      entry.status = act.status;
      return void response.writeHead(act.status, act.headers).end();
    }
    const { method, url, headers } = request;
    const upstream = send({
      host: HOST,
      port: this.#ends.upstream,
      method,
      path: url,
      headers,
      agent: false,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve);
      upstream.once('error', reject);
    });
    answered.catch(() => undefined);
    response.once('close', () => upstream.destroy());
    if (!(await this.#body(call, (piece) => written(upstream, piece)))) {
      // What was written gets to the registry before its connection ends.
      upstream.socket?.end();
      request.socket.resetAndDestroy();
      if (act?.kind === 'cut-and-forget') this.#forget(url ?? '');
      return;
    }
    upstream.end();
    const answer = await answered;
    if (act?.kind === 'lose-answer') {
      answer.resume();
      return void request.socket.resetAndDestroy();
    }
    entry.status = answer.statusCode ?? 0;
    response.writeHead(entry.status, { ...answer.headers, ...(act?.kind === 'headers' && act.headers) });
    for await (const piece of answer) if (!response.write(piece)) await drained(response);
    response.end();
  }

  /** False: it ends here. */
  async #body({ request, entry, act }: Call, write: (piece: Buffer) => Promise<void>): Promise<boolean> {
    const stopAt =
      act?.kind === 'cut' || act?.kind === 'cut-and-forget' || act?.kind === 'stall'
        ? act.bytes
        : Number.POSITIVE_INFINITY;
    const began = performance.now();
    for await (const chunk of request as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        if (entry.sentBytes >= stopAt) {
          if (act?.kind === 'stall') await new Promise((resolve) => request.once('close', resolve));
          return false;
        }
        const piece = chunk.subarray(at, at + PIECE_BYTES);
        await write(piece);
        entry.sentBytes += piece.length;
        const { bytesPerSecond } = this.#ends;
        if (bytesPerSecond === 0) continue;
        const aheadMs = (entry.sentBytes / bytesPerSecond) * 1000 - (performance.now() - began);
        if (aheadMs > 2) await pause(aheadMs);
      }
    }
    return entry.sentBytes === entry.bodyBytes || entry.bodyBytes === 0;
  }

  #forget(path: string): void {
    const upload = path.replace(/[?&]digest=[^&]*/, '');
    const forget = send({ host: HOST, port: this.#ends.upstream, method: 'DELETE', path: upload });
    forget.on('error', () => undefined);
    forget.on('response', (answer) => answer.resume());
    forget.end();
  }
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly entry: WireEntry;
  readonly act: WireAct | null;
}

function written(stream: NodeJS.WritableStream, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(piece, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

function say(message: FromWire): void {
  process.send?.(message);
}

let running: Wire | undefined;

process.on('message', (message: ToWire) => {
  if (message.say === 'start') {
    const wire = new Wire(message);
    running = wire;
    const server = createServer((request, response) => wire.handle(request, response));
    server.requestTimeout = 0;
    server.listen(message.listen, HOST, () => say({ say: 'ready' }));
    return;
  }
  if (message.say === 'faults' && running !== undefined) running.faults = message.faults;
  if (message.say !== 'ledger') return say({ say: 'ready' });
  say({ say: 'ledger', entries: running?.ledger ?? [] });
  if (message.clear && running !== undefined) running.ledger = [];
});
process.on('disconnect', () => process.exit(0));
