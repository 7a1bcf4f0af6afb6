import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { digestFromHex, digestOf, type Digest } from '#oci/digest.ts';
import type { Lease } from '#storage/lease.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';
import type { Storage } from '#storage/storage.ts';
import { looksLikeLayer, readArchive, type ArchiveMember } from '#storage/tar-reader.ts';
import { ArchiveIndex, cleanPath, type ArchiveLayer } from './archive-index.ts';
import { receiveLayer, type ArrivedLayer } from './arriving-layer.ts';

export interface ReadArchiveOptions {
  readonly storage: Pick<Storage, 'content' | 'intakes' | 'snapshotter' | 'plainOf'>;
  readonly lease: Lease;
  /** Whoever wants it is gone. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (layer: {
    /** As the archive calls it. */
    readonly path: string;
    readonly receivedBytes: number;
    readonly sizeBytes: number;
  }) => void;
}

const BLOB_PATH = /^blobs\/sha256\/([0-9a-f]{64})$/;
/** What tells a layer from a document. */
const HEAD_BYTES = 512;

/**
 * Takes an archive apart as it arrives, in one pass. What may be a layer is unpacked at once, whatever
 * becomes of it later; everything else is small and kept in memory. Paths are names in a map, never files.
 */
export class ArchiveReader {
  readonly #options: ReadArchiveOptions;
  readonly #index = new ArchiveIndex();
  readonly #stop = new AbortController();
  /** Layers that are not unpacked yet. */
  readonly #behind = new Set<Promise<unknown>>();
  readonly #arrived: Promise<ArrivedLayer>[] = [];
  #members = 0;
  #documentBytes = 0;

  constructor(options: ReadArchiveOptions) {
    this.#options = options;
  }

  /** Errors: `invalidArgument`, `tooLarge`, the source's. */
  async read(source: AsyncIterable<Uint8Array>): Promise<ArchiveIndex> {
    const { storage, signal } = this.#options;
    const how = { plainOf: storage.plainOf, ...(signal !== undefined && { signal }) };
    for await (const member of readArchive(source, how)) {
      if (++this.#members > LIMITS.archiveMembers)
        throw new EngineError('tooLarge', `image archive has more than ${LIMITS.archiveMembers} members`);
      await this.#take(member);
    }
    return this.#index;
  }

  /** Ends what is under way and throws away what nobody took. */
  async close(): Promise<void> {
    this.#stop.abort(new EngineError('unavailable', 'the archive is not read any more'));
    for (const arrived of await Promise.allSettled(this.#arrived))
      if (arrived.status === 'fulfilled') await arrived.value.unpacked.discard();
  }

  async #take(member: ArchiveMember): Promise<void> {
    const { entry } = member;
    const path = cleanPath(entry.path);
    if (entry.type === 'symlink') {
      const folder = path.slice(0, path.lastIndexOf('/') + 1);
      this.#index.addLink(path, cleanPath(`${folder}${entry.linkPath}`));
    } else if (entry.type === 'hardlink') this.#index.addLink(path, cleanPath(entry.linkPath));
    else if (entry.type === 'file') await this.#takeFile(path, member);
  }

  async #takeFile(path: string, { entry, content }: ArchiveMember): Promise<void> {
    const hex = BLOB_PATH.exec(path)?.[1];
    const digest = hex === undefined ? null : digestFromHex(hex);
    const { sizeBytes } = entry;
    const pieces = content[Symbol.asyncIterator]();
    const head = await readHead(pieces);
    const isSmall = sizeBytes <= LIMITS.imageConfigBytes;
    if (sizeBytes === 0 && mayBeLayer(path)) {
      // Nothing is a tree without files as well as a document without text.
      this.#index.addDocument(path, Buffer.alloc(0));
      return this.#takeLayer(path, { digest, sizeBytes, content: rest(head, pieces) });
    }
    if (isSmall && (isNamedDocument(path) || !looksLikeLayer(head))) {
      await this.#takeDocument(path, { digest, sizeBytes, content: rest(head, pieces) });
    } else if (digest === null || !(await this.#isKnown(path, digest))) {
      await this.#takeLayer(path, { digest, sizeBytes, content: rest(head, pieces) });
    }
  }

  async #takeDocument(path: string, { digest, sizeBytes, content }: Member): Promise<void> {
    this.#documentBytes += sizeBytes;
    if (this.#documentBytes > LIMITS.archiveDocumentBytes) {
      throw new EngineError(
        'tooLarge',
        `documents of the image archive are larger than ${LIMITS.archiveDocumentBytes} bytes`,
      );
    }
    const chunks: Buffer[] = [];
    // Views are valid until the next step only.
    for await (const chunk of content) chunks.push(Buffer.from(chunk));
    const bytes = Buffer.concat(chunks);
    const actual = digest === null ? null : digestOf(bytes);
    if (actual !== digest)
      throw new EngineError('invalidArgument', `unexpected digest: expected ${digest}, got ${actual}`);
    this.#index.addDocument(path, bytes);
  }

  /** A layer that is here already is not read: by the digest of its archive, kept or plain. */
  async #isKnown(path: string, digest: Digest): Promise<boolean> {
    const { storage, lease } = this.#options;
    const layer = storage.snapshotter.layers().find((each) => each.diffId === digest || each.blob === digest);
    if (layer === undefined) return false;
    lease.hold(layer.blob);
    if (!(await storage.content.has(layer.blob))) return false;
    const { blob } = layer;
    this.#index.addLayer(path, { blob: () => Promise.resolve(blob), take: () => Promise.resolve(null) });
    return true;
  }

  async #takeLayer(path: string, { digest, sizeBytes, content }: Member): Promise<void> {
    while (this.#behind.size >= LIMITS.archiveLayersBehind) await Promise.race(this.#behind);
    const { storage, lease, onProgress } = this.#options;
    const { arrived } = await receiveLayer(content, {
      storage,
      lease,
      digest,
      signal: this.#stop.signal,
      onProgress: (receivedBytes) => onProgress?.({ path, receivedBytes, sizeBytes }),
    });
    const settled: Promise<unknown> = arrived
      .catch(() => undefined)
      .finally(() => this.#behind.delete(settled));
    this.#behind.add(settled);
    this.#arrived.push(arrived);
    this.#index.addLayer(path, layerOf(arrived));
  }
}

interface Member {
  readonly digest: Digest | null;
  readonly sizeBytes: number;
  readonly content: AsyncIterable<Buffer>;
}

function layerOf(arrived: Promise<ArrivedLayer>): ArchiveLayer {
  let isTaken = false;
  return {
    blob: async () => (await arrived).blob,
    take: async (): Promise<UnpackedLayer | null> => {
      const { unpacked } = await arrived;
      if (isTaken) return null;
      isTaken = true;
      return unpacked;
    },
  };
}

/** The pieces up to the one that makes the head whole. */
async function readHead(pieces: AsyncIterator<Buffer>): Promise<Buffer> {
  const held: Buffer[] = [];
  for (let length = 0; length < HEAD_BYTES; ) {
    const next = await pieces.next();
    if (next.done === true) break;
    // Views are valid until the next step only.
    held.push(next.value.length < HEAD_BYTES ? Buffer.from(next.value) : next.value);
    length += next.value.length;
  }
  const [only] = held;
  return held.length === 1 && only !== undefined ? only : Buffer.concat(held);
}

async function* rest(head: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
}

function mayBeLayer(path: string): boolean {
  return BLOB_PATH.test(path) || path.endsWith('.tar');
}

function isNamedDocument(path: string): boolean {
  if (BLOB_PATH.test(path)) return false;
  return (
    path.endsWith('.json') ||
    path.endsWith('/json') ||
    /(?:^|\/)(?:repositories|oci-layout|VERSION)$/.test(path)
  );
}
