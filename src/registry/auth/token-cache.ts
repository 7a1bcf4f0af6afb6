import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';

export interface Authorization {
  /** The header's value. */
  readonly header: string;
  /** Infinity: as long as the registry takes it. */
  readonly expiresMs: number;
}

/** Answers of authorization servers. Who asks for the same at the same time shares one request. */
export class TokenCache {
  readonly #clock: Clock;
  readonly #known = new Map<string, Authorization>();
  readonly #underWay = new Map<string, Promise<Authorization>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): string | null {
    const found = this.#known.get(key);
    if (found === undefined) return null;
    if (found.expiresMs > this.#clock.nowMs()) return found.header;
    this.#known.delete(key);
    return null;
  }

  /** `header` was refused: it is not offered again. */
  drop(key: string, header: string): void {
    if (this.#known.get(key)?.header === header) this.#known.delete(key);
  }

  async fetch(key: string, ask: () => Promise<Authorization>): Promise<string> {
    let asking = this.#underWay.get(key);
    if (asking === undefined) {
      asking = ask().finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, asking);
    }
    const authorization = await asking;
    this.#known.delete(key);
    this.#known.set(key, authorization);
    const [oldest] = this.#known.keys();
    if (this.#known.size > LIMITS.registryTokens && oldest !== undefined) this.#known.delete(oldest);
    return authorization.header;
  }
}
