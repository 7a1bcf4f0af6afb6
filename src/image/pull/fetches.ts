import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';
import type { ImageProgress } from '../image-service.ts';
import { fetchLayer, type FetchDeps, type LayerWant } from './layer-fetch.ts';
import { LayerProgress } from './pull-progress.ts';

interface Fetch {
  readonly progress: LayerProgress;
  readonly stop: AbortController;
  readonly done: Promise<UnpackedLayer>;
  users: number;
  /** The tree was placed, or is to be: it exists once. */
  isTaken: boolean;
}

export interface Joined {
  /** Nobody else had begun. */
  readonly isFirst: boolean;
  /** The archive is in the content store. */
  readonly done: Promise<void>;
  /** The tree, for the first who asks. */
  take(): Promise<UnpackedLayer | null>;
  /** To be called once: when nobody is left, what is not done is given up. */
  leave(): Promise<void>;
}

export interface Placement {
  readonly parent: ChainId | null;
  readonly chainId: ChainId;
  readonly want: LayerWant;
  readonly signal: AbortSignal;
}

/** Two images may claim different things of one archive: they do not share the answer. */
function keyOf({ digest, diffId }: LayerWant): string {
  return `${digest} ${diffId}`;
}

/** Layers on their way in. Whoever wants one that somebody is fetching waits for the same bytes. */
export class Fetches {
  readonly #deps: FetchDeps;
  readonly #fetches = new Map<string, Fetch>();
  readonly #places = new KeyedMutex();

  constructor(deps: FetchDeps) {
    this.#deps = deps;
  }

  join(want: LayerWant, onProgress: (line: ImageProgress) => void): Joined {
    const isFirst = !this.#fetches.has(keyOf(want));
    const fetch = this.#running(want);
    fetch.users++;
    const silence = fetch.progress.listen(onProgress);
    let hasLeft = false;
    const leave = async (): Promise<void> => {
      if (hasLeft) return;
      hasLeft = true;
      silence();
      if (--fetch.users === 0) await this.#end(keyOf(want), fetch);
    };
    return {
      isFirst,
      done: fetch.done.then(() => undefined),
      take: async () => {
        const unpacked = await fetch.done;
        if (fetch.isTaken) return null;
        fetch.isTaken = true;
        return unpacked;
      },
      leave,
    };
  }

  #running(want: LayerWant): Fetch {
    const key = keyOf(want);
    const found = this.#fetches.get(key);
    if (found !== undefined) return found;
    const stop = new AbortController();
    const progress = new LayerProgress(want);
    const done = fetchLayer(this.#deps, want, { progress, signal: stop.signal });
    const fetch: Fetch = { progress, stop, done, users: 0, isTaken: false };
    this.#fetches.set(key, fetch);
    done.catch(() => this.#forget(key, fetch));
    return fetch;
  }

  #forget(key: string, fetch: Fetch): void {
    if (this.#fetches.get(key) === fetch) this.#fetches.delete(key);
  }

  /** Resolves when nothing is written any more. */
  async #end(key: string, fetch: Fetch): Promise<void> {
    this.#forget(key, fetch);
    fetch.stop.abort();
    const unpacked = await fetch.done.catch(() => null);
    if (unpacked !== null && !fetch.isTaken) await unpacked.discard();
  }

  /** Gives a fetched layer its place; one that is there is left alone. */
  async place({ parent, chainId, want, signal }: Placement, joined: Joined): Promise<void> {
    const { snapshotter } = this.#deps.storage;
    await this.#places.run(chainId, async () => {
      if (snapshotter.hasLayer(chainId)) return;
      const unpacked =
        (await joined.take()) ??
        (await snapshotter.unpack({ bytes: { blob: want.digest }, diffId: want.diffId, signal }));
      try {
        await snapshotter.commitUnpacked({ parent, unpacked });
      } catch (error) {
        await unpacked.discard();
        throw error;
      }
    });
  }
}
