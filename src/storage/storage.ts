import type { Log } from '#base/log.ts';
import type { Files, Mounts } from '#host/kernel.ts';
import type { ContentStore } from './content-store.ts';
import type { Leases } from './lease.ts';
import type { Snapshotter, SnapshotterName } from './snapshotter.ts';

export interface StorageOptions {
  /** Absolute path of the data root. */
  readonly root: string;
  readonly kernel: { readonly files: Files; readonly mounts: Mounts };
  readonly bootId: string;
  readonly log: Log;
  /** Default `overlay2`. */
  readonly snapshotter?: SnapshotterName;
  /** Threads that unpack layers. Default: 2. */
  readonly workers?: number;
}

export interface Storage {
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly leases: Leases;
  close(): Promise<void>;
}
