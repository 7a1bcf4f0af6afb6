import type { Clock } from '#base/clock.ts';
import type { IdMappings, Owner } from '#base/id-mapping.ts';
import type { FilePort } from '#base/file-steps.ts';
import type { ContainerId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { ImageService } from '#image/image-service.ts';
import type { NetworkService } from '#network/service.ts';
import type { Platform } from '#oci/platform.ts';
import type { HostFacts as SpecHostFacts } from '#runtime/spec.ts';
import type { TaskHandlers, TaskService } from '#runtime/task.ts';
import type { Snapshotter } from '#storage/snapshotter.ts';
import type { TreeReader } from '#storage/tar-tree.ts';
import type { VolumeService } from '#volume/service.ts';

/*
 * What the container room asks of its neighbours, as narrow as it needs it. The composition root passes
 * implementations in;
 * nothing here names a kernel object.
 */

export type { TaskHandlers };

export type OutputStream = 'stdout' | 'stderr';

export interface OutputFrame {
  readonly stream: OutputStream;
  readonly data: Uint8Array;
}

export interface StreamChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

export type TaskPort = Pick<
  TaskService,
  | 'expect'
  | 'start'
  | 'exec'
  | 'attach'
  | 'resize'
  | 'signal'
  | 'pids'
  | 'pause'
  | 'resume'
  | 'update'
  | 'get'
  | 'isExecRunning'
  | 'execs'
  | 'delete'
  | 'reattach'
>;

export type NetworkPort = Pick<NetworkService, 'sandbox' | 'restore' | 'list' | 'inspect' | 'hostGateway'>;

export type VolumePort = Pick<
  VolumeService,
  'planMounts' | 'acquire' | 'prepareSources' | 'release' | 'restore' | 'mounted' | 'unmounted'
>;

export type ImagePort = Pick<ImageService, 'resolve' | 'hold' | 'get' | 'commit'>;

export type SnapshotPort = Pick<
  Snapshotter,
  | 'name'
  | 'createWritable'
  | 'disown'
  | 'removeWritable'
  | 'hasWritable'
  | 'writableUsage'
  | 'layerUsage'
  | 'writables'
  | 'rootfs'
  | 'graphDriverData'
>;

/** Of a container's file tree; it may still be on its way. */
export type RootFd = number | Promise<number>;

/**
 * Access to a container's file tree, resolved inside it (`openat2` with RESOLVE_IN_ROOT), never on the
 * host.
 */
export interface RootTreePort {
  /**
   * A regular file of at most `maxBytes`, opened without blocking; null when there is none. Anything else
   * throws.
   */
  readFile(rootFd: RootFd, path: string, maxBytes: number): Promise<Uint8Array | null>;
  /** Links inside the root are followed. */
  kindOf(rootFd: RootFd, path: string): Promise<'missing' | 'directory' | 'other'>;
  /** One directory whose parent exists, mode 0755. */
  makeDirectory(rootFd: RootFd, path: string, owner: Owner): Promise<void>;
  /** An empty regular file, mode 0755, unless there is one. */
  ensureFile(rootFd: RootFd, path: string, owner: Owner): Promise<void>;
  /** Unless there is something of that name. */
  ensureSymlink(rootFd: RootFd, link: { path: string; target: string }, owner: Owner): Promise<void>;
}

/** User namespaces for containers whose ids are remapped (`userns-remap`). */
export interface UserNamespacePort {
  readonly mappings: IdMappings;
  /** The host's ids of root in a container. */
  readonly root: Owner;
  /** A new one, with these mappings. */
  create(): Promise<number>;
  close(userns: number): void;
}

/** Facts about the machine that decide about warnings and defaults. */
export interface MachineFacts {
  readonly cpus: number;
  readonly cgroupVersion: 1 | 2;
  readonly hasBlkioWeight: boolean;
  readonly hostname: string;
  readonly bootId: string;
  /** Its platform, with the level of its processors as variant. */
  readonly platform: Platform;
  /** What runtime specs depend on. */
  readonly spec: SpecHostFacts;
  /**
   * The profile of containers that ask for none: '' when it could not be loaded, absent where the host has no
   * AppArmor.
   */
  readonly apparmor?: string;
}

export interface ContainerEvent {
  readonly action: string;
  readonly id: ContainerId;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeNanos: bigint;
}

/** What containers get that do not say otherwise. */
export interface ContainerDefaults {
  readonly shmSizeBytes?: number;
  readonly init?: boolean;
  readonly noNewPrivileges?: boolean;
  readonly ipcMode?: string;
  readonly cgroupnsMode?: string;
  readonly ulimits?: readonly { readonly Name: string; readonly Hard: number; readonly Soft: number }[];
}

export interface ContainerSettings {
  readonly dataRoot: string;
  readonly execRoot: string;
  /** `/docker` unless configured; a container's own wish goes first. */
  readonly cgroupParent: string;
  readonly runtimes: readonly string[];
  readonly defaultRuntime: string;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** Path of the init program for `--init` on this host; null when none is installed. */
  readonly initPath: string | null;
  readonly defaults?: ContainerDefaults;
}

export interface ContainerDeps {
  readonly settings: ContainerSettings;
  readonly facts: MachineFacts;
  readonly images: ImagePort;
  readonly snapshots: SnapshotPort;
  readonly tasks: TaskPort;
  readonly networks: NetworkPort;
  readonly volumes: VolumePort;
  readonly tree: RootTreePort;
  readonly treeReader: TreeReader;
  /** Absent: containers share the host's user namespace. */
  readonly userNamespaces?: UserNamespacePort;
  /** Absent: done by node. */
  readonly files?: FilePort;
  readonly clock: Clock;
  readonly log: Log;
  /** Broadcast only; nothing acts on it. */
  readonly emit: (event: ContainerEvent) => void;
}
