import { setTimeout as pause } from 'node:timers/promises';
import type { BlobBody, BlobName } from '../client.ts';
import { RegistryError } from '../errors.ts';
import { pieces, type Answer, type Wire } from '../transport/exchange.ts';
import { requestError } from '../transport/go-errors.ts';
import { answerError } from './answer-error.ts';
import type { PlaceOrder } from './places.ts';
import { parseContentRange } from './ranges.ts';
import { retryDelay, withRetries, type RetryRules } from './retry.ts';
import type { Ask, Place } from './sender.ts';
import { chunksOf } from '../transport/chunks.ts';

/* A blob's bytes, from whoever has them, continued where a connection was lost. */

export interface BlobSource {
  readonly wire: Wire;
  readonly places: PlaceOrder;
  readonly send: (place: Place, ask: Ask) => Promise<Answer>;
  readonly pathOf: (want: BlobName) => string;
  readonly rules: RetryRules & { readonly tries: number };
  readonly onRetry: (error: unknown, delayMs: number) => void;
}

interface Opened {
  readonly offset: number;
  readonly answer: Answer;
  readonly place: Place;
  readonly signal: AbortSignal;
  readonly end: AbortController;
}

/** So many bytes are progress: failures before them count no more. */
const PROGRESS_BYTES = 1024 * 1024;

function startOf(answer: Answer, want: BlobName, offset: number): number | null {
  if (answer.status === 200) {
    const length = answer.headers['content-length'];
    return length === undefined || Number(length) === want.sizeBytes ? 0 : null;
  }
  const range = answer.status === 206 ? parseContentRange(answer.headers['content-range']) : null;
  if (range === null || range.start !== offset) return null;
  return range.totalBytes === null || range.totalBytes === want.sizeBytes ? offset : null;
}

async function openAt(
  source: BlobSource,
  want: BlobName,
  at: { readonly place: Place; readonly offset: number; readonly signal: AbortSignal },
): Promise<{ offset: number; answer: Answer }> {
  const { place, offset, signal } = at;
  const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
  const answer = await source.send(place, { method: 'GET', path: source.pathOf(want), headers, signal });
  if (answer.status === 416 && offset > 0) {
    answer.discard();
    return await openAt(source, want, { ...at, offset: 0 });
  }
  if (answer.status === 404) {
    answer.discard();
    throw new RegistryError('unknown blob', { status: 404, codes: ['BLOB_UNKNOWN'] });
  }
  if (answer.status !== 200 && answer.status !== 206) throw await answerError(answer, source.wire);
  const start = startOf(answer, want, offset);
  if (start !== null) return { offset: start, answer };
  answer.discard();
  const said = answer.headers['content-range'] ?? answer.headers['content-length'] ?? 'nothing';
  throw requestError(answer, `the blob has ${want.sizeBytes} bytes, the registry answers with ${said}`, {
    permanent: !source.places.areSeveral,
  });
}

async function open(
  source: BlobSource,
  want: BlobName,
  from: { offset: number; signal: AbortSignal },
): Promise<Opened> {
  const { offset, signal } = from;
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  const won = await source.places.ask(want.digest, both, async (place, raceSignal) => {
    const one = await openAt(source, want, { place, offset, signal: AbortSignal.any([both, raceSignal]) });
    return { ...one, place };
  });
  source.places.prefer(won.by);
  return { ...won.value, signal: both, end: won.end };
}

class Reader {
  readonly #source: BlobSource;
  readonly #want: BlobName;
  readonly #signal: AbortSignal;
  #opened: Opened | null;
  /** The first byte that was not given yet. */
  #at: number;
  #countedAt: number;
  #failures = 0;

  constructor(source: BlobSource, want: BlobName, from: { opened: Opened; signal: AbortSignal }) {
    this.#source = source;
    this.#want = want;
    this.#signal = from.signal;
    this.#opened = from.opened;
    this.#at = from.opened.offset;
    this.#countedAt = this.#at;
  }

  async *chunks(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        try {
          this.#opened ??= await open(this.#source, this.#want, { offset: this.#at, signal: this.#signal });
          yield* this.#rest(this.#opened);
          return;
        } catch (error) {
          await this.#waitAfter(error);
        }
      }
    } finally {
      this.#end();
    }
  }

  async *#rest(opened: Opened): AsyncGenerator<Buffer> {
    let position = opened.offset;
    for await (const piece of pieces(opened.answer, this.#source.wire, this.#signal)) {
      const fresh = piece.subarray(Math.min(piece.length, Math.max(0, this.#at - position)));
      position += piece.length;
      if (position > this.#want.sizeBytes) {
        throw this.#wrong(opened, `the blob has ${this.#want.sizeBytes} bytes, the registry sends more`);
      }
      if (fresh.length === 0) continue;
      this.#at += fresh.length;
      yield fresh;
    }
    if (position < this.#want.sizeBytes) throw requestError(opened.answer, 'unexpected EOF');
  }

  #wrong(opened: Opened, reason: string): Error {
    this.#source.places.distrust(this.#want.digest);
    return requestError(opened.answer, reason, { permanent: !this.#source.places.areSeveral });
  }

  /** Throws what is not to be repeated. */
  async #waitAfter(error: unknown): Promise<void> {
    const place = this.#opened?.place;
    this.#end();
    this.#signal.throwIfAborted();
    if (this.#at - this.#countedAt >= PROGRESS_BYTES) this.#failures = 0;
    this.#countedAt = this.#at;
    this.#failures++;
    const { rules, onRetry, places } = this.#source;
    const delayMs = this.#failures >= rules.tries ? null : retryDelay(error, this.#failures, rules);
    if (delayMs === null) throw error;
    if (place?.isMirror === true) places.lagged(place);
    onRetry(error, delayMs);
    await pause(delayMs, undefined, { signal: this.#signal });
  }

  #end(): void {
    this.#opened?.answer.discard();
    this.#opened?.end.abort();
    this.#opened = null;
  }
}

export async function openBlob(
  source: BlobSource,
  want: BlobName,
  from: { readonly offset: number; readonly signal: AbortSignal },
): Promise<BlobBody> {
  const { offset, signal } = from;
  if (offset > 0 && offset >= want.sizeBytes) return { offset, chunks: chunksOf() };
  const opened = await withRetries({ ...source.rules, signal, onRetry: source.onRetry }, () =>
    open(source, want, { offset, signal }),
  );
  return { offset: opened.offset, chunks: new Reader(source, want, { opened, signal }).chunks() };
}

/** A small blob whole. */
export async function readBlob(source: BlobSource, want: BlobName, signal: AbortSignal): Promise<Buffer> {
  const { chunks } = await openBlob(source, want, { offset: 0, signal });
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
