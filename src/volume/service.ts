import type { MountInput, MountPoint, VolumeView } from './model.ts';

/** The volume room's face. Construction: `createVolumeService` in `volume-service.ts`. */
export interface VolumeService {
  /** Reads the volumes' records; a damaged one is quarantined and said in the log. */
  boot(): Promise<void>;
  /**
   * At create: pure normalisation plus the checks the reference makes then (bind sources of `--mount`). Makes
   * nothing.
   */
  planMounts(input: MountInput): Promise<readonly MountPoint[]>;
  /**
   * At create, after planMounts: makes missing volumes, names anonymous ones. Undo with `release` and
   * `removeAnonymous`.
   */
  acquire(containerId: string, mounts: readonly MountPoint[]): Promise<readonly MountPoint[]>;
  /**
   * At start: makes missing bind directories and checks every source again.
   */
  prepareSources(mounts: readonly MountPoint[]): Promise<void>;
  /** The container is gone; `removeAnonymous` is `rm -v` or `--rm`. */
  release(
    containerId: string,
    options: { readonly mounts: readonly MountPoint[]; readonly removeAnonymous: boolean },
  ): Promise<void>;
  /** Tells the world that a container uses its volumes now, and that it no longer does. */
  mounted(containerId: string, mounts: readonly MountPoint[]): void;
  unmounted(containerId: string, mounts: readonly MountPoint[]): void;
  /** At boot: who uses what, from the containers' records. */
  restore(containerId: string, mounts: readonly MountPoint[]): void;
  create(request: {
    readonly name?: string;
    readonly driver?: string;
    readonly options?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  }): Promise<VolumeView>;
  list(): readonly VolumeView[];
  /** Errors: notFound `get NAME: no such volume`. */
  inspect(name: string): VolumeView;
  /** Errors: notFound; conflict `remove NAME: volume is in use - [ID]`. */
  remove(name: string, options?: { readonly force?: boolean }): Promise<void>;
  /** Removes those of the wanted volumes that no container names. `sizeBytes` is what their files took. */
  prune(
    isWanted: (volume: VolumeView) => boolean,
  ): Promise<{ readonly names: readonly string[]; readonly sizeBytes: number }>;
  /** Bytes in use by the volume's files; -1 when they cannot be counted. */
  sizeBytes(name: string): Promise<number>;
  /** Ids of containers that name the volume. */
  usedBy(name: string): readonly string[];
}
