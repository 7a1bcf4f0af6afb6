/** The volume room's vocabulary: plain data. */

export type Propagation = 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';

/** One entry of `HostConfig.Mounts`, as the API carries it (only what we read). */
export interface MountRequest {
  readonly Type?: string | undefined;
  readonly Source?: string | undefined;
  readonly Target?: string | undefined;
  readonly ReadOnly?: boolean | undefined;
  readonly Consistency?: string | undefined;
  readonly BindOptions?:
    | {
        readonly Propagation?: string | undefined;
        readonly NonRecursive?: boolean | undefined;
        readonly CreateMountpoint?: boolean | undefined;
        readonly ReadOnlyNonRecursive?: boolean | undefined;
        readonly ReadOnlyForceRecursive?: boolean | undefined;
      }
    | undefined;
  readonly VolumeOptions?:
    | {
        readonly NoCopy?: boolean | undefined;
        readonly Subpath?: string | undefined;
        readonly Labels?: Readonly<Record<string, string>> | null | undefined;
        readonly DriverConfig?:
          | {
              readonly Name?: string | undefined;
              readonly Options?: Readonly<Record<string, string>> | null | undefined;
            }
          | undefined;
      }
    | undefined;
  readonly TmpfsOptions?:
    | {
        readonly SizeBytes?: number | undefined;
        readonly Mode?: number | undefined;
        readonly Options?: readonly (readonly string[])[] | undefined;
      }
    | undefined;
}

/** Everything of a create request that speaks about mounts. */
export interface MountInput {
  /** `HostConfig.Binds`: `-v`. */
  readonly binds: readonly string[];
  /** `HostConfig.Mounts`: `--mount`. */
  readonly mounts: readonly MountRequest[];
  /** `HostConfig.Tmpfs`: `--tmpfs`, path → options. */
  readonly tmpfs: Readonly<Record<string, string>>;
  /** `Config.Volumes`: anonymous volumes of `-v /path` and of the image's VOLUME. */
  readonly volumes: readonly string[];
  readonly volumeDriver?: string | undefined;
  /** Mount points of other containers, already resolved by the caller (`--volumes-from`). */
  readonly volumesFrom?: readonly MountPoint[] | undefined;
}

/** One mount of a container, normalised at create and kept in its record. JSON-safe. */
export interface MountPoint {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** Volume name; empty otherwise. */
  readonly name: string;
  /** bind: host path; volume: its `_data`, filled in when the volume exists; tmpfs: empty. */
  readonly source: string;
  readonly destination: string;
  readonly readOnly: boolean;
  /** As the user wrote it: what `Mode` in inspect shows. */
  readonly mode: string;
  /** Empty for volumes and tmpfs. */
  readonly propagation: string;
  readonly driver: string;
  /** `-v` makes a missing bind source; `--mount` refuses. */
  readonly createSource: boolean;
  readonly recursive: boolean;
  readonly readOnlyNonRecursive: boolean;
  readonly readOnlyForceRecursive: boolean;
  /** Volumes: new content is copied from the image on first use. */
  readonly copyUp: boolean;
  readonly subpath: string;
  /** Made for this container alone: `rm -v` removes it. */
  readonly anonymous: boolean;
  readonly volumeLabels: Readonly<Record<string, string>> | null;
  readonly volumeOptions: Readonly<Record<string, string>> | null;
  /** tmpfs options as mount(2) data with flags, such as `size=65536k`. */
  readonly tmpfsOptions: readonly string[];
  /** `--tmpfs` mounts are not listed in inspect's `Mounts`, `--mount type=tmpfs` ones are. */
  readonly fromTmpfsFlag: boolean;
}

export interface VolumeView {
  readonly CreatedAt: string;
  readonly Driver: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Scope: string;
}

/** Says that a volume was made for one container alone. */
export const ANONYMOUS_LABEL = 'com.docker.volume.anonymous';

/** A fact about a volume that others may want to hear of. */
export interface VolumeEvent {
  readonly action: 'create' | 'mount' | 'unmount' | 'destroy';
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}
