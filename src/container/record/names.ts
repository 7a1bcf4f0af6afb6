import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';

const VALID_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Errors: `invalidArgument` with the reference's text. A leading slash is allowed and dropped. */
export function checkName(name: string): string {
  const plain = name.startsWith('/') ? name.slice(1) : name;
  if (!VALID_NAME.test(plain) || plain.length > 255) {
    throw new EngineError('invalidArgument', messages.invalidContainerName(name));
  }
  return plain;
}

/**
 * The one index that finds a container by what a client wrote. Names are held by reservations, before
 * records exist.
 */
export class NameIndex {
  readonly #byName = new Map<string, ContainerId>();
  readonly #ids = new Set<ContainerId>();

  /** Errors: `conflict` with the reference's text. */
  reserve(name: string, id: ContainerId): void {
    const holder = this.#byName.get(name);
    if (holder !== undefined && holder !== id) {
      throw new EngineError('conflict', messages.nameConflict(name, holder));
    }
    this.#byName.set(name, id);
  }

  isTaken(name: string): boolean {
    return this.#byName.has(name);
  }

  release(name: string, id: ContainerId): void {
    if (this.#byName.get(name) === id) this.#byName.delete(name);
  }

  addId(id: ContainerId): void {
    this.#ids.add(id);
  }

  removeId(id: ContainerId): void {
    this.#ids.delete(id);
  }

  /**
   * Full id, then name, then unique prefix. Errors: `notFound`; `invalidArgument` for an ambiguous prefix.
   */
  find(reference: string): ContainerId {
    if (reference === '') throw new EngineError('invalidArgument', 'No container name or ID supplied');
    if (this.#ids.has(reference as ContainerId)) return reference as ContainerId;
    const named = this.#byName.get(reference.startsWith('/') ? reference.slice(1) : reference);
    if (named !== undefined && this.#ids.has(named)) return named;
    const matches = [...this.#ids].filter((id) => id.startsWith(reference));
    if (matches.length > 1) {
      throw new EngineError('invalidArgument', messages.ambiguousPrefix(reference));
    }
    const [only] = matches;
    if (only === undefined) throw new EngineError('notFound', messages.noSuchContainer(reference));
    return only;
  }
}
