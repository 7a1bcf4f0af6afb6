import type { IncomingMessage, ServerResponse } from 'node:http';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import { createSlots } from './client/slots.ts';
import type { RegistryAccess, UpstreamRepository } from './server-ports.ts';
import type { RegistryBlobs } from './storage-port.ts';
import { PullThrough } from './server/pull-through.ts';
import { RepositoryStore } from './server/repository-store.ts';
import { handleRequest } from './server/router.ts';
import { UploadSessions } from './server/upload-sessions.ts';

export interface RegistryServerOptions {
  readonly blobs: RegistryBlobs;
  /** Absolute path; the index of repositories lies there. */
  readonly directory: string;
  readonly access: RegistryAccess | null;
  readonly isReadonly: boolean;
  /** With it the registry is a cache of another one, and nobody pushes. */
  readonly upstream: ((path: string) => UpstreamRepository) | null;
  readonly log: Log;
  readonly nowMs?: () => number;
  /** How long a blob that no manifest names is kept after somebody last asked about it. */
  readonly blobGraceMs?: number;
  /** What a cache may have on the disk. */
  readonly cacheBytes?: number;
}

export interface RegistryServer {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Removes what nothing names, and uploads that nobody goes on with. Safe beside pushes. */
  collect(): Promise<void>;
  close(): Promise<void>;
}

/** Errors: `dataLoss` when the index of repositories cannot be read. */
export async function createRegistryServer(options: RegistryServerOptions): Promise<RegistryServer> {
  const { blobs, directory, log, upstream } = options;
  const nowMs = options.nowMs ?? Date.now;
  const store = await RepositoryStore.open({ blobs, directory, log, nowMs });
  const sessions = new UploadSessions(blobs, nowMs);
  const bound = options.cacheBytes === undefined ? {} : { maxBytes: options.cacheBytes };
  const cache = upstream === null ? null : new PullThrough({ store, upstream, log, nowMs, ...bound });
  // Nobody goes on with what a cache was fetching when it ended.
  if (cache !== null) await sessions.cancelLeft();
  const isReadonly = options.isReadonly || cache !== null;
  const pushes = createSlots(() => LIMITS.manifestPushes);
  const deps = { store, sessions, cache, pushes, access: options.access, isReadonly, log };
  const running = new Set<Promise<void>>();
  return {
    handle: (request, response) => {
      const work = handleRequest(deps, request, response).finally(() => running.delete(work));
      running.add(work);
    },
    collect: async () => {
      await sessions.expire();
      await cache?.trim();
      await store.collect(options.blobGraceMs ?? LIMITS.registryBlobGraceMs);
    },
    close: async () => {
      await cache?.close();
      await Promise.allSettled(running);
      await store.close();
    },
  };
}
