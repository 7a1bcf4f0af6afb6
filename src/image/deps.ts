import type { Clock } from '#base/clock.ts';
import type { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { Digest } from '#oci/digest.ts';
import type { Platform } from '#oci/platform.ts';
import type { RegistryClient } from '#registry/client.ts';
import type { Storage } from '#storage/storage.ts';
import type { ImageAction, ImageEvent, ImageUsers } from './image-service.ts';
import type { Fetches } from './pull/fetches.ts';
import type { UnfinishedPulls } from './pull/unfinished.ts';
import type { BlobNotes } from './store/blob-notes.ts';
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
  /** The machine's, with the level of its processors as variant. */
  readonly platform: Platform;
  /** One key, `images`: held while names, records or layers change hands. */
  readonly mutex: KeyedMutex;
  /** Images that containers in the making hold. */
  readonly held: Map<Digest, number>;
  readonly registry: RegistryClient;
  /** Where kept blobs are, too. */
  readonly notes: BlobNotes;
  /** What interrupted pulls have got already and their next try will use. */
  readonly unfinished: UnfinishedPulls;
  /** Layers on their way in, by whichever pull. */
  readonly fetches: Fetches;
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
