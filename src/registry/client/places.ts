import type { Digest } from '#oci/digest.ts';
import { firstGood, type Won } from './hedge.ts';
import type { Place } from './sender.ts';

/**
 * Who is asked first within one pull: whoever answered before, the mirrors in their order, the registry
 * itself, and what was silent or failed.
 */
export class PlaceOrder {
  readonly #places: readonly Place[];
  readonly #silenceMs: number;
  readonly #laggards = new Set<Place>();
  readonly #liars = new Map<Digest, Set<Place>>();
  readonly #givers = new Map<Digest, Place>();
  #preferred: Place | undefined;

  constructor(places: readonly Place[], silenceMs: number) {
    this.#places = places;
    this.#silenceMs = silenceMs;
  }

  get origin(): Place {
    const origin = this.#places.find(({ isMirror }) => !isMirror);
    if (origin === undefined) throw new Error('a registry has an address');
    return origin;
  }

  get areSeveral(): boolean {
    return this.#places.length > 1;
  }

  order(digest?: Digest): readonly Place[] {
    const liars = digest === undefined ? undefined : this.#liars.get(digest);
    const rank = (place: Place): number => {
      if (liars?.has(place) === true) return 4;
      if (place === this.#preferred) return 0;
      if (!place.isMirror) return 2;
      return this.#laggards.has(place) ? 3 : 1;
    };
    return this.#places.toSorted((a, b) => rank(a) - rank(b));
  }

  /** Asks them all, in this order. */
  async ask<T>(
    digest: Digest | undefined,
    signal: AbortSignal,
    attempt: (place: Place, signal: AbortSignal) => Promise<T>,
  ): Promise<Won<Place, T>> {
    const won = await firstGood({
      candidates: this.order(digest),
      silenceMs: this.#silenceMs,
      signal,
      attempt,
      isAuthority: (place) => !place.isMirror,
      onLaggard: (place) => this.lagged(place),
    });
    if (digest !== undefined) this.#givers.set(digest, won.by);
    return won;
  }

  prefer(place: Place): void {
    this.#preferred = place;
    this.#laggards.delete(place);
  }

  lagged(place: Place): void {
    this.#laggards.add(place);
    if (this.#preferred === place) this.#preferred = undefined;
  }

  /** Whoever gave this gave wrong bytes. */
  /** True: somebody is left who has not given wrong bytes. */
  distrust(digest: Digest): boolean {
    const giver = this.#givers.get(digest);
    if (giver === undefined) return false;
    const liars = this.#liars.get(digest) ?? new Set();
    liars.add(giver);
    this.#liars.set(digest, liars);
    return liars.size < this.#places.length;
  }
}
