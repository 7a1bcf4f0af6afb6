/**
 * Leases protect blobs and layers of operations in progress from garbage collection. They live in memory:
 * after a crash nothing is in progress, and what was half done is garbage.
 */
export interface Lease {
  /** Digests and chainIDs. */
  hold(...names: readonly string[]): void;
  release(): void;
}

export class Leases {
  readonly #held = new Map<string, number>();
  #open = 0;

  open(...names: readonly string[]): Lease {
    const mine = new Set<string>();
    let open = true;
    this.#open++;
    const hold = (...more: readonly string[]): void => {
      if (!open) return;
      for (const name of more) {
        if (mine.has(name)) continue;
        mine.add(name);
        this.#held.set(name, (this.#held.get(name) ?? 0) + 1);
      }
    };
    hold(...names);
    return {
      hold,
      release: () => {
        if (!open) return;
        open = false;
        this.#open--;
        for (const name of mine) this.#drop(name);
      },
    };
  }

  #drop(name: string): void {
    const left = (this.#held.get(name) ?? 1) - 1;
    if (left === 0) this.#held.delete(name);
    else this.#held.set(name, left);
  }

  isHeld(name: string): boolean {
    return this.#held.has(name);
  }

  /** Operations in progress. */
  get count(): number {
    return this.#open;
  }
}
