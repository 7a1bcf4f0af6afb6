import { BLOCK, isZeroBlock, parseRawHeader, type TarEntry } from './layer/tar-header.ts';
import { decompressStream, detectCompression } from './layer/decompress.ts';
import { TarParser } from './layer/tar-parser.ts';

/** An entry of an archive; the path is a byte string (one character per byte). */
export type ArchiveEntry = TarEntry;

export interface ArchiveMember {
  readonly entry: ArchiveEntry;
  /**
   * To be read before the next member is asked for; what is left unread is skipped. A piece is valid until
   * the next one is asked for.
   */
  readonly content: AsyncIterable<Buffer>;
}

/**
 * Decompresses what is compressed. A piece is valid until the next one is asked for. The signal ends what
 * goes on after the source's last byte.
 */
export type PlainOf = (source: AsyncIterable<Uint8Array>, signal?: AbortSignal) => AsyncIterable<Buffer>;

export interface ReadArchiveOptions {
  readonly plainOf?: PlainOf;
  readonly signal?: AbortSignal;
}

type Step =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  | { readonly kind: 'data'; readonly chunk: Buffer }
  | { readonly kind: 'end' };

/** Turns chunks into steps, a bounded number at a time: those of one chunk. */
async function* steps(source: AsyncIterable<Buffer>): AsyncGenerator<Step> {
  let queue: Step[] = [];
  const parser = new TarParser({
    entry: (entry) => queue.push({ kind: 'entry', entry }),
    data: (chunk) => queue.push({ kind: 'data', chunk }),
    entryEnd: () => queue.push({ kind: 'end' }),
  });
  for await (const chunk of source) {
    parser.push(chunk);
    const batch = queue;
    queue = [];
    yield* batch;
  }
  parser.finish();
}

/**
 * Whether these may be the first bytes (at least 512, if there are so many) of an archive, compressed or not.
 */
export function looksLikeLayer(head: Buffer): boolean {
  if (detectCompression(head) !== 'none') return true;
  if (head.length < BLOCK) return false;
  if (isZeroBlock(head)) return true;
  try {
    parseRawHeader(head.subarray(0, BLOCK));
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads an archive, compressed or not, member by member, as slowly as the caller takes it. Errors:
 * `invalidArgument`.
 */
export async function* readArchive(
  source: AsyncIterable<Uint8Array>,
  { plainOf = (bytes) => decompressStream(bytes), signal }: ReadArchiveOptions = {},
): AsyncGenerator<ArchiveMember> {
  const iterator = steps(plainOf(source, signal));
  try {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      if (next.value.kind !== 'entry') continue;
      let ended = false;
      const content = async function* (): AsyncGenerator<Buffer> {
        while (!ended) {
          const step = await iterator.next();
          if (step.done === true || step.value.kind === 'end') ended = true;
          else if (step.value.kind === 'data') yield step.value.chunk;
        }
      };
      yield { entry: next.value.entry, content: content() };
      while (!ended) {
        const step = await iterator.next();
        if (step.done === true || step.value.kind === 'end') ended = true;
      }
    }
  } finally {
    await iterator.return(undefined);
  }
}
