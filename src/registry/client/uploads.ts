import { setTimeout as pause } from 'node:timers/promises';
import type { BlobName } from '../client.ts';
import { RegistryError } from '../errors.ts';
import type { Answer, OutgoingBody, Wire } from '../transport/exchange.ts';
import { requestError } from '../transport/go-errors.ts';
import { resolveLocation } from '../transport/redirects.ts';
import { answerError } from './answer-error.ts';
import { parseUploadRange } from './ranges.ts';
import { retryDelay, withRetries, type RetryRules } from './retry.ts';
import type { Ask } from './sender.ts';
import { chunksOf } from '../transport/chunks.ts';

/*
 * A blob into a registry (distribution-spec, "Pushing blobs"): one POST and one PUT with all bytes; in pieces
 * for registries that want that; continued at the offset that the registry names after a loss.
 */

const FORGET_MS = 5000;

export interface UploadSink {
  readonly wire: Wire;
  readonly send: (ask: Ask) => Promise<Answer>;
  /** `/v2/<name>/blobs/uploads/` */
  readonly path: string;
  readonly allowPlain: boolean;
  readonly chunkBytes: number;
  readonly rules: RetryRules & { readonly tries: number };
  readonly onRetry: (error: unknown, delayMs: number) => void;
}

export interface Session {
  readonly url: URL;
  /** `OCI-Chunk-Min-Length`: the registry wants pieces, of at least this size. 0: it does not say. */
  readonly minChunkBytes: number;
}

export type OpenBlob = (offset: number) => AsyncIterable<Uint8Array>;

function locationOf(answer: Answer, allowPlain: boolean): URL {
  const location = answer.headers.location;
  if (location === undefined) throw requestError(answer, 'the answer names no upload location');
  const url = resolveLocation(answer.url, location, { allowPlain });
  if (typeof url === 'string') throw requestError(answer, url, { permanent: true });
  return url;
}

function sessionOf(answer: Answer, allowPlain: boolean): Session {
  const min = Number(answer.headers['oci-chunk-min-length'] ?? 0);
  return {
    url: locationOf(answer, allowPlain),
    minChunkBytes: Number.isSafeInteger(min) && min > 0 ? min : 0,
  };
}

/** A new upload, or a blob taken over from `from`. Null: it was taken over. */
export async function startUpload(
  sink: UploadSink,
  mount: { readonly digest: string; readonly from: string } | null,
  signal: AbortSignal,
): Promise<Session | null> {
  const query =
    mount === null ? '' : `?${new URLSearchParams({ mount: mount.digest, from: mount.from }).toString()}`;
  const body: OutgoingBody = { sizeBytes: 0, open: () => chunksOf() };
  const answer = await sink.send({ method: 'POST', path: sink.path + query, body, signal });
  if (answer.status !== 201 && answer.status !== 202) throw await answerError(answer, sink.wire);
  answer.discard();
  return answer.status === 201 ? null : sessionOf(answer, sink.allowPlain);
}

/** The first `sizeBytes` of what `open(offset)` gives. Errors: it gives fewer. */
async function* part(open: OpenBlob, offset: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let left = sizeBytes;
  if (left === 0) return;
  for await (const chunk of open(offset)) {
    yield chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= Math.min(left, chunk.length);
    if (left === 0) return;
  }
  throw new Error(`a blob to upload ends ${left} bytes early`);
}

function withDigest(url: URL, digest: string): URL {
  const full = new URL(url);
  full.searchParams.set('digest', digest);
  return full;
}

class Upload {
  readonly #sink: UploadSink;
  readonly #blob: BlobName;
  readonly #open: OpenBlob;
  readonly #signal: AbortSignal;
  #session: Session | null;
  #inPieces = false;

  constructor(
    sink: UploadSink,
    blob: BlobName,
    how: { open: OpenBlob; session: Session | null; signal: AbortSignal },
  ) {
    this.#sink = sink;
    this.#blob = blob;
    this.#open = how.open;
    this.#session = how.session;
    this.#signal = how.signal;
  }

  async run(): Promise<void> {
    try {
      await this.#bring();
    } catch (error) {
      // Nobody waits for that: who has left goes on with nothing of it.
      if (this.#signal.aborted) void this.#forget();
      else if (error instanceof RegistryError && error.status >= 500) await this.#forget();
      throw error;
    }
  }

  async #bring(): Promise<void> {
    let failures = 0;
    let reached = 0;
    for (;;) {
      try {
        const offset = failures === 0 ? 0 : await this.#offset();
        if (offset === 'done') return;
        if (offset > reached) failures = 1;
        reached = Math.max(reached, offset);
        await this.#sendFrom(offset);
        return;
      } catch (error) {
        this.#signal.throwIfAborted();
        const { rules, onRetry } = this.#sink;
        failures++;
        const delayMs = failures >= rules.tries ? null : this.#delay(error, failures);
        if (delayMs === null) throw error;
        onRetry(error, delayMs);
        await pause(delayMs, undefined, { signal: this.#signal });
      }
    }
  }

  /** What a registry has of it is thrown away, if it can: it takes room there, perhaps the last. */
  async #forget(): Promise<void> {
    if (this.#session === null) return;
    const ask = { method: 'DELETE', path: this.#session.url, signal: AbortSignal.timeout(FORGET_MS) };
    await this.#sink.send(ask).then(
      (answer) => answer.discard(),
      () => undefined,
    );
  }

  #delay(error: unknown, failures: number): number | null {
    if (error instanceof RegistryError && error.status === 413 && !this.#inPieces) {
      this.#inPieces = true;
      this.#session = null;
      return 0;
    }
    // The registry has forgotten the upload, or stands at another offset than we thought.
    if (error instanceof RegistryError && [404, 416].includes(error.status) && this.#session !== null) {
      if (error.status === 404) this.#session = null;
      return this.#sink.rules.backoffMs;
    }
    return retryDelay(error, failures, this.#sink.rules);
  }

  /**
   * Where the registry stands; 0 and a new upload when it does not know this one any more. It does not know
   * one either that it has ended, whose answer was lost.
   */
  async #offset(): Promise<number | 'done'> {
    if (this.#session === null) return 0;
    const answer = await this.#sink.send({ method: 'GET', path: this.#session.url, signal: this.#signal });
    // It may know it in a moment.
    if (answer.status === 429 || (answer.status >= 500 && answer.status !== 501))
      throw await answerError(answer, this.#sink.wire);
    answer.discard();
    const offset = answer.status === 204 ? parseUploadRange(answer.headers.range) : null;
    if (offset === null || offset > this.#blob.sizeBytes) {
      this.#session = null;
      return (await this.#isThere()) ? 'done' : 0;
    }
    const { location } = answer.headers;
    if (location !== undefined) this.#session = sessionOf(answer, this.#sink.allowPlain);
    return offset;
  }

  async #isThere(): Promise<boolean> {
    const path = this.#sink.path.replace(/uploads\/$/, this.#blob.digest);
    const answer = await this.#sink.send({ method: 'HEAD', path, signal: this.#signal });
    answer.discard();
    return answer.status === 200;
  }

  async #sendFrom(offset: number): Promise<void> {
    const { sizeBytes } = this.#blob;
    this.#session ??= await startUpload(this.#sink, null, this.#signal);
    const session = this.#session;
    if (session === null) return;
    if (offset === 0 && !this.#inPieces && session.minChunkBytes === 0) {
      await this.#put(session.url, 0);
      return;
    }
    const chunkBytes = Math.max(session.minChunkBytes, this.#sink.chunkBytes);
    for (let at = offset; at < sizeBytes; ) at = await this.#patch(at, Math.min(chunkBytes, sizeBytes - at));
    await this.#put((this.#session as Session).url, sizeBytes);
  }

  /** Sends one piece; gives the offset behind it. */
  async #patch(at: number, sizeBytes: number): Promise<number> {
    const session = this.#session;
    if (session === null) throw new Error('no upload is open');
    const answer = await this.#sink.send({
      method: 'PATCH',
      path: session.url,
      headers: {
        'content-type': 'application/octet-stream',
        'content-range': `${at}-${at + sizeBytes - 1}`,
      },
      body: { sizeBytes, open: () => part(this.#open, at, sizeBytes) },
      signal: this.#signal,
    });
    if (answer.status !== 202 && answer.status !== 201 && answer.status !== 204)
      throw await answerError(answer, this.#sink.wire);
    answer.discard();
    const { minChunkBytes } = session;
    this.#session = { url: locationOf(answer, this.#sink.allowPlain), minChunkBytes };
    return at + sizeBytes;
  }

  /** Ends the upload with the bytes from `offset`. */
  async #put(url: URL, offset: number): Promise<void> {
    const sizeBytes = this.#blob.sizeBytes - offset;
    const answer = await this.#sink.send({
      method: 'PUT',
      path: withDigest(url, this.#blob.digest),
      headers: { 'content-type': 'application/octet-stream' },
      body: { sizeBytes, open: () => part(this.#open, offset, sizeBytes) },
      signal: this.#signal,
    });
    if (answer.status !== 201 && answer.status !== 204) throw await answerError(answer, this.#sink.wire);
    answer.discard();
  }
}

export async function uploadBlob(
  sink: UploadSink,
  blob: BlobName,
  how: { readonly open: OpenBlob; readonly session: Session | null; readonly signal: AbortSignal },
): Promise<void> {
  await new Upload(sink, blob, how).run();
}

/** Tries to take a blob over from another repository; a session when the registry wants the bytes instead. */
export async function mount(
  sink: UploadSink,
  what: { readonly digest: string; readonly from: string },
  signal: AbortSignal,
): Promise<Session | null> {
  return await withRetries({ ...sink.rules, signal, onRetry: sink.onRetry }, () =>
    startUpload(sink, what, signal),
  );
}
