import { LIMITS } from '#base/limits.ts';
import type { RootTreePort } from '../ports.ts';

/** What was found in one image's tree. */
interface Known {
  readonly files: Map<string, Uint8Array | null>;
  readonly directories: Set<string>;
}

/**
 * What look-ups in the tree of a container that nobody has written into gave, by image: its tree is the
 * image's, so the next container of that image finds the same.
 */
export class ImageTrees {
  readonly #known = new Map<string, Known>();

  /** The same look-ups, answered from memory where the image's tree was asked before. */
  of(chainId: string, tree: RootTreePort): RootTreePort {
    const { files, directories } = this.#take(chainId);
    return {
      ...tree,
      async readFile(rootFd, path, maxBytes) {
        const found = files.get(path);
        if (found !== undefined) return found;
        const bytes = await tree.readFile(rootFd, path, maxBytes);
        if (bytes === null || bytes.length <= LIMITS.knownFileBytes) files.set(path, bytes);
        return bytes;
      },
      async kindOf(rootFd, path) {
        if (directories.has(path)) return 'directory';
        const kind = await tree.kindOf(rootFd, path);
        // What is missing is about to be made, in one container only.
        if (kind === 'directory' && directories.size < LIMITS.knownTrees) directories.add(path);
        return kind;
      },
    };
  }

  /** What `readFile` would say without asking the tree; null unless all of them were asked for before. */
  knownFiles(chainId: string, paths: readonly string[]): readonly (Uint8Array | null)[] | null {
    const files = this.#known.get(chainId)?.files;
    const found = paths.map((path) => files?.get(path));
    return found.every((bytes) => bytes !== undefined) ? found : null;
  }

  #take(chainId: string): Known {
    const known = this.#known.get(chainId) ?? { files: new Map(), directories: new Set() };
    // The one that was used longest ago is the first.
    this.#known.delete(chainId);
    this.#known.set(chainId, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > LIMITS.knownTrees && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}
