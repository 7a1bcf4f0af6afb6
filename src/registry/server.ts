import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '#base/log.ts';
import type { BlobBody, BlobName, FetchedManifest } from './client.ts';
import type { RegistryBlobs } from './storage-port.ts';

/** Who may come in. */
export interface RegistryAccess {
  /** `authorization` is the request's header. `busy`: too many are being checked already. */
  check(authorization: string | undefined): Promise<'granted' | 'refused' | 'busy'>;
}

/** The part of a registry client's `Repository` that a pull-through cache asks. */
export interface UpstreamRepository {
  manifest(reference: string): Promise<FetchedManifest>;
  blob(want: BlobName, from: { readonly offset: number; readonly signal: AbortSignal }): Promise<BlobBody>;
}

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
}

export interface RegistryServer {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Removes what nothing names, and uploads that nobody goes on with. Safe beside pushes. */
  collect(): Promise<void>;
  close(): Promise<void>;
}
