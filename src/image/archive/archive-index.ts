import { EngineError } from '#base/errors.ts';
import type { Digest } from '#oci/digest.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';

/** A layer of an archive. */
export interface ArchiveLayer {
  /** Its archive in the content store, held. Errors: what was wrong with it. */
  blob(): Promise<Digest>;
  /** What was unpacked of it, to the first who asks; null where it was here before. */
  take(): Promise<UnpackedLayer | null>;
}

/** What an image archive holds, by cleaned path: small documents in memory, layers in the storage. */
export class ArchiveIndex {
  readonly #documents = new Map<string, Buffer>();
  readonly #layers = new Map<string, ArchiveLayer>();
  readonly #links = new Map<string, string>();

  addDocument(path: string, bytes: Buffer): void {
    this.#documents.set(path, bytes);
  }

  addLayer(path: string, layer: ArchiveLayer): void {
    this.#layers.set(path, layer);
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
    return this.#documents.has(found) || this.#layers.has(found);
  }

  /** Errors: `invalidArgument` when it is not there, or is none. */
  layer(path: string): ArchiveLayer {
    const found = this.#resolve(path);
    const layer = this.#layers.get(found);
    if (layer !== undefined) return layer;
    if (this.#documents.has(found))
      throw new EngineError('invalidArgument', 'archive/tar: invalid tar header');
    throw missing(path);
  }

  /** Errors: `invalidArgument` when it is not there, `tooLarge`. */
  document(path: string, maxBytes: number): Buffer {
    const found = this.#resolve(path);
    const bytes = this.#documents.get(found);
    if (bytes === undefined && !this.#layers.has(found)) throw missing(path);
    if (bytes === undefined || bytes.length > maxBytes)
      throw new EngineError('tooLarge', `${path} is larger than ${maxBytes} bytes`);
    return bytes;
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
