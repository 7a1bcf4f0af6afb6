import { createHash } from 'node:crypto';
import { digestHex, type Digest } from '#oci/digest.ts';
import type { ByteRange } from '../storage-port.ts';
import type { UpstreamRepository } from '../server-ports.ts';

export interface PassingBlob {
  readonly upstream: UpstreamRepository;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Bytes of a blob that is not kept, as another registry gives them. Read from its start to its end it is
 * checked: the last byte waits until all of them are known to be right.
 */
export async function* passBlob(
  { upstream, digest, sizeBytes, signal }: PassingBlob,
  { start, end }: ByteRange,
): AsyncGenerator<Buffer> {
  const isWhole = start === 0 && end === sizeBytes - 1;
  const hash = createHash('sha256');
  const { offset, chunks } = await upstream.blob({ digest, sizeBytes }, { offset: start, signal });
  let at = offset;
  let last: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end + 1 - at));
    at += chunk.length;
    if (isWhole) hash.update(part);
    if (at > end) last = part.subarray(-1);
    const ready = at > end ? part.subarray(0, -1) : part;
    if (ready.length > 0) yield ready;
    if (at > end) break;
  }
  if (at <= end) throw new Error(`${at} of ${sizeBytes} bytes came`);
  if (isWhole && hash.digest('hex') !== digestHex(digest))
    throw new Error('the upstream registry gave another blob');
  if (last.length > 0) yield last;
}
