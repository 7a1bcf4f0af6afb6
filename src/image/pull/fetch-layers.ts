import type { ChainId } from '#oci/chain-id.ts';
import type { Repository } from '#registry/client.ts';
import type { Storage } from '#storage/storage.ts';
import type { ImageProgress } from '../image-service.ts';
import { stepLine } from '../progress-bar.ts';
import type { Fetches, Joined } from './fetches.ts';
import type { LayerWant } from './layer-fetch.ts';
import { layerId } from './pull-progress.ts';
import type { RemoteImage } from './resolve-manifest.ts';

export interface LayersDeps {
  readonly storage: Pick<Storage, 'content' | 'snapshotter'>;
  readonly fetches: Fetches;
}

export interface LayersWanted {
  readonly repository: Repository;
  readonly image: RemoteImage;
  readonly signal: AbortSignal;
  readonly onProgress: (line: ImageProgress) => void;
}

interface Missing {
  readonly want: LayerWant;
  readonly parent: ChainId | null;
  readonly chainId: ChainId;
}

/** A layer on its way: the fetch that brings it may be somebody else's. */
class Coming {
  readonly layer: Missing;
  /** Settles once; nobody need listen. */
  readonly arrived: Promise<void>;
  readonly #deps: LayersDeps;
  readonly #wanted: LayersWanted;
  joined: Joined;
  isHere = false;

  constructor(deps: LayersDeps, layer: Missing, wanted: LayersWanted) {
    this.#deps = deps;
    this.#wanted = wanted;
    this.layer = layer;
    this.joined = this.#join();
    this.arrived = this.#arrive();
    this.arrived.catch(() => undefined);
  }

  #join(): Joined {
    const joined = this.#deps.fetches.join(this.layer.want, this.#wanted.onProgress);
    joined.done.catch(() => undefined);
    return joined;
  }

  /** What somebody else could not get, perhaps for want of a permission, is tried again by oneself. */
  async #arrive(): Promise<void> {
    const { signal } = this.#wanted;
    for (;;) {
      try {
        await unlessAborted(this.joined.done, signal);
        this.isHere = true;
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (this.joined.isFirst) throw error;
      }
      await this.joined.leave();
      this.joined = this.#join();
    }
  }
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', leave, { once: true });
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** Those whose trees are not here, base first; what is here is reported. */
function missingLayers(deps: LayersDeps, { repository, image, onProgress }: LayersWanted): Missing[] {
  return image.manifest.content.layers.flatMap(({ digest, sizeBytes }, i) => {
    const chainId = image.chain[i] as ChainId;
    const isHere = deps.storage.snapshotter.hasLayer(chainId);
    onProgress(stepLine(layerId(digest), isHere ? 'Already exists' : 'Pulling fs layer'));
    if (isHere) return [];
    const diffId = image.config.diffIds[i] as LayerWant['diffId'];
    return [{ want: { repository, digest, sizeBytes, diffId }, parent: image.chain[i - 1] ?? null, chainId }];
  });
}

/** In order, each as soon as it and all below it are here. */
async function placeAll(deps: LayersDeps, all: readonly Coming[], wanted: LayersWanted): Promise<void> {
  const durable = new Set<Coming>();
  for (const coming of all) {
    await coming.arrived;
    if (!durable.has(coming)) {
      const here = all.filter(({ isHere }) => isHere);
      await deps.storage.content.sync();
      for (const each of here) durable.add(each);
    }
    const { layer, joined } = coming;
    await deps.fetches.place({ ...layer, signal: wanted.signal }, joined);
    wanted.onProgress(stepLine(layerId(layer.want.digest), 'Pull complete'));
  }
}

/**
 * Brings the layers of an image that are not here, several at once, and places them in order. When it fails
 * nothing is written any more on its account.
 */
export async function fetchLayers(deps: LayersDeps, wanted: LayersWanted): Promise<void> {
  const missing = missingLayers(deps, wanted);
  const stop = new AbortController();
  const within = { ...wanted, signal: AbortSignal.any([wanted.signal, stop.signal]) };
  // The largest first: what it takes to unpack it is the longest part of the whole.
  const order = [...missing].sort((a, b) => b.want.sizeBytes - a.want.sizeBytes);
  const coming = new Map(order.map((layer) => [layer, new Coming(deps, layer, within)]));
  const all = missing.map((layer) => coming.get(layer) as Coming);
  try {
    for (const { arrived } of all) arrived.catch((error: unknown) => stop.abort(error));
    await placeAll(deps, all, within);
  } catch (error) {
    stop.abort(error);
    wanted.signal.throwIfAborted();
    throw stop.signal.reason;
  } finally {
    await Promise.allSettled(all.map(({ arrived }) => arrived));
    await Promise.all(all.map(({ joined }) => joined.leave()));
  }
}
