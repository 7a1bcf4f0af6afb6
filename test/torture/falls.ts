import type { Violation } from './rules.ts';

/* Where kills fell: only those within a transfer are evidence about interrupted transfers. */

export interface Fall {
  /** How much was done, of what there was to do; null: before the first byte, or after the last. */
  readonly fraction: number | null;
  /** The same in words: what was where when the daemon died. */
  readonly where: string;
}

/** So many kills in all for one that is to fall within. */
const TRIES_PER_KILL = 3;
const SPARE_TRIES = 5;
const BINS = 10;

/** Counts kills until enough of them fell within. */
export class Falls {
  readonly #wanted: number;
  readonly #what: string;
  readonly #fractions: number[] = [];
  #tries = 0;

  constructor(wanted: number, what: string) {
    this.#wanted = wanted;
    this.#what = what;
  }

  get within(): number {
    return this.#fractions.length;
  }

  /** False: enough fell within, or so few that no more are tried. */
  get goesOn(): boolean {
    return this.within < this.#wanted && this.#tries < this.#wanted * TRIES_PER_KILL + SPARE_TRIES;
  }

  add({ fraction }: Fall): void {
    this.#tries++;
    if (fraction !== null) this.#fractions.push(fraction);
  }

  /** `0-10% ##### 5`, ten lines, and a sum. */
  lines(): string[] {
    const bins = Array.from({ length: BINS }, () => 0);
    for (const fraction of this.#fractions) {
      const bin = Math.min(BINS - 1, Math.floor(fraction * BINS));
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const lines = bins.map((count, bin) => {
      const range = `${bin * BINS}-${(bin + 1) * BINS}%`.padStart(8);
      return `${range} ${'#'.repeat(count)} ${count}`;
    });
    return [...lines, `${this.within} of ${this.#tries} kills fell within ${this.#what}`];
  }

  violations(): Violation[] {
    if (this.within >= this.#wanted) return [];
    const text = `${this.within} kills instead of ${this.#wanted} fell within ${this.#what}, of ${this.#tries}`;
    return [{ rule: 'evidence', text }];
  }
}
