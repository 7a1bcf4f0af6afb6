import type { SpecBlockIo, SpecCpu, SpecDevice, SpecDeviceCgroup } from '#oci/runtime-spec.ts';
import type { IdMappings } from '#base/id-mapping.ts';
import type { ResolvedUser } from './user.ts';

/**
 * A namespace of another container is bound at start: the task service holds it open by the task's identity.
 */
export type JoinableMode =
  | { readonly mode: 'private' }
  | { readonly mode: 'host' }
  | { readonly mode: 'container'; readonly id: string };

export type IpcMode =
  | { readonly mode: 'private' | 'none' | 'host' }
  /** `shmPath`: a tmpfs outside of the container, shown as its /dev/shm. */
  | { readonly mode: 'shareable'; readonly shmPath?: string }
  /** `shmPath`: as above, or `TASK_SHM` for a copy of the other task's /dev/shm that the start makes. */
  | { readonly mode: 'container'; readonly id: string; readonly shmPath?: string };

/** `container`: joined, and of the same mappings, as containers of one daemon are. */
export type UsernsMode =
  | { readonly mode: 'host' }
  | { readonly mode: 'private'; readonly mappings: IdMappings }
  | { readonly mode: 'container'; readonly id: string; readonly mappings: IdMappings };

/** One of the user's mounts, already resolved to something on this host. */
export type MountInput =
  | {
      readonly type: 'bind';
      readonly source: string;
      readonly destination: string;
      readonly readonly: boolean;
      /** '' for a volume: the runtime's default. Else `private`, `rprivate`, `shared`, … */
      readonly propagation: string;
      readonly nonRecursive?: boolean;
      /** Read-only without the mounts below it. */
      readonly readonlyNonRecursive?: boolean;
    }
  /** `options` in the form of `--tmpfs`: `size=1m,mode=700,exec`. */
  | { readonly type: 'tmpfs'; readonly destination: string; readonly options: readonly string[] };

export interface CapabilityInput {
  readonly add: readonly string[];
  readonly drop: readonly string[];
}

export interface SecurityInput {
  readonly privileged: boolean;
  readonly capabilities: CapabilityInput;
  readonly noNewPrivileges: boolean;
  /** `default`, `unconfined`, or the JSON text of a profile. */
  readonly seccomp: string;
  /** Profile name, `unconfined`, or '' where the host has no AppArmor. */
  readonly apparmor: string;
  /** null: the defaults. Empty lists: none (`systempaths=unconfined`). */
  readonly maskedPaths: readonly string[] | null;
  readonly readonlyPaths: readonly string[] | null;
}

export interface ResourceInput {
  readonly memoryBytes?: number;
  readonly memoryReservationBytes?: number;
  readonly memorySwapBytes?: number;
  readonly kernelMemoryBytes?: number;
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  readonly nanoCpus?: number;
  readonly cpu?: SpecCpu;
  readonly pidsLimit?: number;
  readonly blkio?: SpecBlockIo;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly hugepages?: readonly { readonly pageSize: string; readonly limit: number }[];
}

export interface DeviceInput {
  /** Nodes to make, by `--device` or, privileged, every one of the host. */
  readonly nodes: readonly SpecDevice[];
  /** What the cgroup allows for each of `--device`, then `--device-cgroup-rule`s in order. */
  readonly rules: readonly SpecDeviceCgroup[];
}

export interface HostFacts {
  /** Node's names: `x64`, `arm64`. */
  readonly arch: string;
  /** `6.18.0`; seccomp rules depend on it. */
  readonly kernelVersion: string;
  /** Every capability this host can give (the daemon's own bounding set), in the kernel's order. */
  readonly capabilities: readonly string[];
  /**
   * Existing files that the reference masks besides its fixed list (thermal throttle counters of each CPU).
   */
  readonly extraMaskedPaths: readonly string[];
}

/** Everything that decides about a container's `config.json`. Plain data. */
export interface SpecInput {
  readonly id: string;
  readonly args: readonly string[];
  /** Of the record: image and user already merged; PATH, HOSTNAME, TERM and HOME are added here. */
  readonly env: readonly string[];
  /** '' is `/`. */
  readonly cwd: string;
  readonly user: ResolvedUser;
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly hostname: string;
  readonly domainname: string;
  readonly rootfsReadonly: boolean;
  /** Path of docker-init's equivalent on this host, if the container wants one as its first process. */
  readonly initPath?: string;
  readonly network: JoinableMode;
  readonly pid: JoinableMode;
  readonly ipc: IpcMode;
  readonly uts: 'private' | 'host';
  /** Absent: the host's. */
  readonly userns?: UsernsMode;
  readonly cgroupNamespace: 'private' | 'host';
  /** Absolute: `<parent>/<id>`. */
  readonly cgroupPath: string;
  readonly mounts: readonly MountInput[];
  /** resolv.conf, hostname and hosts: made by this engine, shown read-write unless the root is read-only. */
  readonly networkFiles: readonly { readonly source: string; readonly destination: string }[];
  readonly shmSizeBytes: number;
  readonly security: SecurityInput;
  readonly resources: ResourceInput;
  readonly devices: DeviceInput;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly oomScoreAdj: number;
  /** Of `--annotation` only. Labels never get here. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly host: HostFacts;
}
