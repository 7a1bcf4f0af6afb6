/**
 * Repeatable fuzzing: every round has a generator of its own, made from one seed, so that a failure names
 * what repeats it. `GANTRY_FUZZ_ROUNDS` asks for more rounds than the short run of `npm test`,
 * `GANTRY_FUZZ_SEED` repeats one.
 */
import { test, type TestContext } from 'node:test';
import { seeded } from '../torture/clients.ts';

export class Chance {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seeded(seed);
  }

  /** 0 ≤ n < limit. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  flip(share = 0.5): boolean {
    return this.#next() < share;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** Cuts bytes into pieces of random sizes, as a socket or a file may. */
  pieces(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + this.below(this.flip() ? 16 : 4096);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    return pieces;
  }
}

/** The short runs repeat the same rounds; `npm run torture` brings new seeds. */
export const BASE_SEED = Number(process.env['GANTRY_FUZZ_SEED'] ?? 20_261_121);

/** The short number of rounds, or what the environment asks for, `share` of it for slow rounds. */
export function roundsOf(short: number, share = 1): number {
  const wanted = Number(process.env['GANTRY_FUZZ_ROUNDS'] ?? 0);
  return wanted > 0 ? Math.max(short, Math.ceil(wanted * share)) : short;
}

export interface FuzzPlan {
  readonly short: number;
  /** Part of the asked rounds that is done: slow ones take fewer. */
  readonly share?: number;
}

export type FuzzRound = (chance: Chance, context: TestContext) => void | Promise<void>;

/** A test that runs `round` many times; its failure tells the seed. */
export function fuzz(name: string, plan: FuzzPlan, round: FuzzRound): void {
  test(name, async (context) => {
    const rounds = roundsOf(plan.short, plan.share);
    for (let i = 0; i < rounds; i++) {
      try {
        await round(new Chance(BASE_SEED + i), context);
      } catch (error) {
        throw new Error(`round ${i}: repeat with GANTRY_FUZZ_SEED=${BASE_SEED + i}`, { cause: error });
      }
    }
  });
}
