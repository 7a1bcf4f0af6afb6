import { join } from 'node:path';
import { systemClock, type Clock } from '#base/clock.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import { TurnShare } from '#base/turn-share.ts';
import { hostPlatform, type Platform } from '#oci/platform.ts';
import type { RegistryClient } from '#registry/client.ts';
import type { Storage } from '#storage/storage.ts';
import { collectGarbage } from './collect.ts';
import { commitImage } from './commit.ts';
import type { ImageDeps } from './deps.ts';
import { diffImages } from './diff.ts';
import { askRegistry } from './distribution.ts';
import { explainImage } from './explain.ts';
import type { ImageEvent, ImageService, ImageUsers } from './image-service.ts';
import { importTar } from './import.ts';
import { importUrl } from './import-url.ts';
import { imageHistory, inspectImage } from './inspect.ts';
import { listImages } from './list.ts';
import { loadImages } from './load.ts';
import { planPrune } from './plan-prune.ts';
import { planPull } from './plan-pull.ts';
import { pruneImages } from './prune.ts';
import { expirePartials, pullImage } from './pull.ts';
import { pushImages } from './push.ts';
import { Fetches } from './pull/fetches.ts';
import { UnfinishedPulls } from './pull/unfinished.ts';
import { removeImage } from './remove.ts';
import { resolveImage } from './resolve.ts';
import { saveImages } from './save.ts';
import { searchImages } from './search.ts';
import { BlobNotes } from './store/blob-notes.ts';
import { ImageStore } from './store/image-store.ts';
import { tagImage } from './tag.ts';

export interface ImageServiceOptions {
  /** The data root: records go to `images/`, `references/`, `pulls/` and `sources/`. */
  readonly root: string;
  readonly storage: Storage;
  readonly registry: RegistryClient;
  readonly users: ImageUsers;
  readonly onEvent: (event: ImageEvent) => void;
  readonly log: Log;
  readonly clock?: Clock;
  /** What new images carry as the version of the engine that made them. */
  readonly engineVersion: string;
  /** The machine's; without it the most general of its architecture. */
  readonly platform?: Platform;
}

/** Reads what is there and collects what an interrupted operation left. */
export async function openImageService(options: ImageServiceOptions): Promise<ImageService> {
  const { root, storage, registry, log, users, onEvent, engineVersion } = options;
  const { content, snapshotter } = storage;
  const store = await ImageStore.open({ root, content, snapshotter, log });
  const clock = options.clock ?? systemClock;
  const share = new TurnShare(LIMITS.turnBytes);
  const deps: ImageDeps = {
    store,
    storage,
    users,
    onEvent,
    log,
    clock,
    engineVersion,
    platform: options.platform ?? hostPlatform(),
    mutex: new KeyedMutex(),
    held: new Map(),
    registry,
    notes: await BlobNotes.open(join(root, 'sources')),
    unfinished: await UnfinishedPulls.open(join(root, 'pulls'), { log, nowMs: clock.nowMs() }),
    fetches: new Fetches({ storage, downloads: registry.downloads, share }),
  };
  await expirePartials(deps);
  await collectGarbage(deps);
  return {
    resolve: async (name, platform) => resolveImage(store, name, platform),
    get: (id) => store.get(id),
    count: () => store.ids().length,
    list: async (list = {}) => listImages(deps, list),
    inspect: async (name, platform) => inspectImage(deps, name, platform),
    history: async (name, platform) => imageHistory(deps, name, platform),
    load: (source, load) => loadImages(deps, share.slowed(source), load),
    importTar: (source, how) => importTar(deps, share.slowed(source), how),
    importUrl: (url, how) => importUrl(deps, url, how),
    commit: (request) => commitImage(deps, request),
    explain: (name) => explainImage(deps, name),
    diff: async (before, after) => diffImages(deps, { before, after }),
    planPrune: async (filters) => planPrune(deps, filters),
    save: (names, platform) => saveImages(deps, names, platform),
    pull: (reference, how) => pullImage(deps, reference, how),
    push: (reference, how) => pushImages(deps, reference, how),
    planPull: (reference, how) => planPull(deps, reference, how),
    login: (credentials) => registry.login(credentials),
    search: (term, how) => searchImages(registry, term, how),
    distribution: (reference, credentials) => askRegistry(deps, reference, credentials),
    tag: (name, repo, tag) => tagImage(deps, name, { repo, tag }),
    remove: (name, how = {}) => removeImage(deps, name, how),
    prune: (filters) => pruneImages(deps, filters),
    collectGarbage: async () => {
      await collectGarbage(deps);
    },
    hold: (id) => {
      deps.held.set(id, (deps.held.get(id) ?? 0) + 1);
      let held = true;
      return {
        release: () => {
          const count = deps.held.get(id) ?? 0;
          if (held && count > 1) deps.held.set(id, count - 1);
          else if (held) deps.held.delete(id);
          held = false;
        },
      };
    },
  };
}
