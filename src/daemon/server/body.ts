import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import { isJsonObject, parseJson, type JsonObject } from '#base/json.ts';
import { badContentType, bodyTrailing, bodyWrongType, noContentType } from '#api/messages.ts';
import { scanJson } from '#base/json-scan.ts';

const MEDIA_TYPE = /^[!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+$/;

/** False when the headers say that there is none. */
export function hasBody(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return true;
  const length = request.headers['content-length'];
  return length !== undefined && length !== '0';
}

/** A body that is said to be JSON; no body needs no type. */
export function checkJsonType(request: IncomingMessage): void {
  const value = request.headers['content-type'] ?? '';
  if (value === '' && !hasBody(request)) return;
  const type = (value.split(';')[0] ?? '').trim().toLowerCase();
  if (!MEDIA_TYPE.test(type)) throw new EngineError('invalidArgument', noContentType(value));
  if (type !== 'application/json') throw new EngineError('invalidArgument', badContentType(type));
}

const FIRST_BYTES = 4096;
/** So many pieces that lie ready are copied in one go; then it is others' turn. */
const PIECES_AT_ONCE = 64;

/**
 * Copies as it reads: kept pieces would cost hundreds of bytes each, and a sender may make them of one byte.
 */
export async function readBytes(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  let size = 0;
  let pieces = 0;
  for await (const chunk of source) {
    const end = size + chunk.length;
    if (end > maxBytes) throw new EngineError('tooLarge', `request body is larger than ${maxBytes} bytes`);
    if (end > bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, end, Math.min(maxBytes, 2 * bytes.length)));
      bytes.copy(larger, 0, 0, size);
      bytes = larger;
    }
    bytes.set(chunk, size);
    size = end;
    pieces += 1;
    if (pieces % PIECES_AT_ONCE === 0) await setImmediate();
  }
  return bytes.subarray(0, size);
}

/** The object in a JSON text; null for an empty text or `null`. Errors have the reference's texts. */
export function parseBody(text: string): JsonObject | null {
  if (text.trim() === '') return null;
  const scan = scanJson(text);
  if (scan.error !== null) throw new EngineError('invalidArgument', `invalid JSON: ${scan.error}`);
  if (text.slice(scan.end).trim() !== '') throw new EngineError('invalidArgument', bodyTrailing());
  const value = parseJson(text, 'request body');
  if (value === null) return null;
  if (isJsonObject(value)) return value;
  const found = Array.isArray(value) ? 'array' : typeof value;
  throw new EngineError(
    'invalidArgument',
    bodyWrongType(found === 'boolean' ? 'bool' : found, '', 'object').replace(' field .', ' '),
  );
}

/**
 * A body that has come with its head, as most do, and lies ready: an iterator would cost more than the rest
 * of a request's way. Nothing may be done with the connection before the request has ended.
 */
async function readAtOnce(request: IncomingMessage): Promise<Buffer> {
  const bytes = request.read() as Buffer;
  const ended = once(request, 'end');
  request.resume();
  await ended;
  return bytes;
}

/** Reads a JSON body with all the checks. */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<JsonObject | null> {
  checkJsonType(request);
  if (!hasBody(request)) return null;
  const { readableLength } = request;
  if (readableLength <= maxBytes && String(readableLength) === request.headers['content-length'])
    return parseBody((await readAtOnce(request)).toString('utf8'));
  // Too large a body is refused with words: leaving the iterator must not end the connection.
  const source: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false });
  return parseBody((await readBytes(source, maxBytes)).toString('utf8'));
}
