import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { digestFromHex, type Digest } from '#oci/digest.ts';
import type { ContentStore } from '#storage/content-store.ts';
import type { Lease } from '#storage/lease.ts';
import { readArchive, type ArchiveMember } from '#storage/tar-reader.ts';

/**
 * What an image archive holds, by cleaned path: small documents in memory, everything else in the content
 * store.
 */
export class ArchiveIndex {
  readonly #documents = new Map<string, Buffer>();
  readonly #blobs = new Map<string, Digest>();
  readonly #links = new Map<string, string>();
  readonly #content: ContentStore;

  constructor(content: ContentStore) {
    this.#content = content;
  }

  addDocument(path: string, bytes: Buffer): void {
    this.#documents.set(path, bytes);
  }

  addBlob(path: string, digest: Digest): void {
    this.#blobs.set(path, digest);
  }

  addLink(path: string, target: string): void {
    this.#links.set(path, target);
  }

  /** Follows the few links that old archives use for equal layers. */
  #resolve(path: string): string {
    let current = cleanPath(path);
    for (let i = 0; i < 8; i++) {
      const next = this.#links.get(current);
      if (next === undefined) return current;
      current = next;
    }
    return current;
  }

  has(path: string): boolean {
    const found = this.#resolve(path);
    return this.#documents.has(found) || this.#blobs.has(found);
  }

  /** Errors: `invalidArgument` when it is not there. */
  blob(path: string): Digest {
    const digest = this.#blobs.get(this.#resolve(path));
    if (digest === undefined) throw missing(path);
    return digest;
  }

  async document(path: string, maxBytes: number): Promise<Buffer> {
    const found = this.#resolve(path);
    const inMemory = this.#documents.get(found);
    if (inMemory !== undefined) return inMemory;
    const digest = this.#blobs.get(found);
    if (digest === undefined) throw missing(path);
    return this.#content.readAll(digest, maxBytes);
  }
}

function missing(path: string): EngineError {
  return new EngineError('invalidArgument', `open ${path}: no such file or directory`);
}

/** `./a//b/../c` → `a/c`; never leaves the archive. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

const BLOB_PATH = /^blobs\/sha256\/([0-9a-f]{64})$/;

async function readBounded(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // Views are valid until the next step only.
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/**
 * Takes an archive apart as it arrives. Nothing is written but verified blobs; paths are names in a map,
 * never files. Errors: `invalidArgument`, `tooLarge`.
 */
export async function spoolArchive(
  source: AsyncIterable<Uint8Array>,
  into: { readonly content: ContentStore; readonly lease: Lease },
): Promise<ArchiveIndex> {
  const index = new ArchiveIndex(into.content);
  let members = 0;
  let documentBytes = 0;
  for await (const member of readArchive(source)) {
    if (++members > LIMITS.archiveMembers) {
      throw new EngineError('tooLarge', `image archive has more than ${LIMITS.archiveMembers} members`);
    }
    const path = cleanPath(member.entry.path);
    if (member.entry.type === 'symlink') {
      index.addLink(path, cleanPath(`${path.slice(0, path.lastIndexOf('/') + 1)}${member.entry.linkPath}`));
    } else if (member.entry.type === 'hardlink') index.addLink(path, cleanPath(member.entry.linkPath));
    if (member.entry.type !== 'file') continue;
    if (isDocument(path, member)) {
      documentBytes += member.entry.sizeBytes;
      if (documentBytes > LIMITS.archiveDocumentBytes) {
        throw new EngineError(
          'tooLarge',
          `documents of the image archive are larger than ${LIMITS.archiveDocumentBytes} bytes`,
        );
      }
      index.addDocument(path, await readBounded(member.content));
    } else {
      const hex = BLOB_PATH.exec(path)?.[1];
      const expected = hex === undefined ? {} : { digest: digestFromHex(hex) };
      const blob = await into.content.ingest(member.content, { ...expected, lease: into.lease });
      index.addBlob(path, blob.digest);
    }
  }
  return index;
}

function isDocument(path: string, member: ArchiveMember): boolean {
  if (BLOB_PATH.test(path) || member.entry.sizeBytes > LIMITS.imageConfigBytes) return false;
  return (
    path.endsWith('.json') ||
    path.endsWith('/json') ||
    /(?:^|\/)(?:repositories|oci-layout|VERSION)$/.test(path)
  );
}
