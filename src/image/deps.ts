import type { Clock } from '#base/clock.ts';
import type { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { Digest } from '#oci/digest.ts';
import type { Storage } from '#storage/storage.ts';
import type { ImageAction, ImageEvent, ImageUsers } from './image-service.ts';
import type { ImageStore } from './store/image-store.ts';

/** What the verbs of this room work with. */
export interface ImageDeps {
  readonly store: ImageStore;
  readonly storage: Storage;
  readonly users: ImageUsers;
  readonly onEvent: (event: ImageEvent) => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly engineVersion: string;
  /** One key, `images`: held while names, records or layers change hands. */
  readonly mutex: KeyedMutex;
  /** Images that containers in the making hold. */
  readonly held: Map<Digest, number>;
  /** Digests and chainIDs that interrupted pulls have got already and that their next try will use. */
  readonly unfinished?: { roots(): Iterable<string> };
}

export const IMAGE_LOCK = 'images';

export function publish(
  deps: Pick<ImageDeps, 'store' | 'onEvent'>,
  action: ImageAction,
  of: { id: Digest; name: string },
): void {
  const labels = deps.store.get(of.id)?.config.defaults.labels ?? {};
  deps.onEvent({ action, id: of.id, attributes: { ...labels, name: of.name } });
}
