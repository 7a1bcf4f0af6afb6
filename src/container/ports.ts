import type { Clock } from '#base/clock.ts';
import type { ContainerId, ExecId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import type { ContainerRecord, EndpointWish, Healthcheck, MountPoint, PortBinding, PortMap } from './record.ts';

/*
 * What the container room asks of its neighbours, as narrow as it needs it. The composition root passes implementations in;
 * nothing here names a kernel object.
 */

export type OutputStream = 'stdout' | 'stderr';

export interface OutputFrame {
  readonly stream: OutputStream;
  readonly data: Uint8Array;
}

/** One attachment to a process's streams. Ends when the process's streams end, or by `detach`. */
export interface TaskStreams {
  readonly frames: AsyncIterable<OutputFrame>;
  /** Resolves when the shim took the bytes: backpressure from the process reaches the client. */
  writeStdin(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  detach(): void;
}

export interface StreamChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface TaskStart {
  readonly id: ContainerId;
  /** The OCI runtime spec; its root path and network namespace path are the runtime's to fill in. */
  readonly spec: object;
  readonly rootfsFd: number;
  readonly netnsFd: number | null;
  readonly terminal: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly log: { readonly path: string; readonly maxSizeBytes: number | null; readonly maxFiles: number; readonly attrs: Readonly<Record<string, string>> } | null;
  readonly cgroupPath: string;
  readonly runtime: string;
  readonly consoleSize: { readonly width: number; readonly height: number } | null;
}

export interface ExecStart {
  readonly execId: ExecId;
  readonly process: object;
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly detach: boolean;
}

/** How a process ended. */
export interface TaskExit {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** RFC 3339 with nanoseconds. */
  readonly exitedAt: string;
}

export type ReattachedTask =
  | { readonly kind: 'running'; readonly pid: number; readonly startedAt: string | null }
  | { readonly kind: 'exited'; readonly exit: TaskExit };

export interface TaskPort {
  start(request: TaskStart): Promise<{ readonly pid: number }>;
  exec(id: ContainerId, request: ExecStart): Promise<{ readonly pid: number }>;
  /** Before `start` too: such an attachment receives every byte from the first one on. */
  attach(id: ContainerId, execId: ExecId | null, streams: StreamChoice): Promise<TaskStreams>;
  resize(id: ContainerId, execId: ExecId | null, size: { readonly width: number; readonly height: number }): Promise<void>;
  signal(id: ContainerId, signal: number, options?: { readonly all?: boolean }): Promise<void>;
  pause(id: ContainerId): Promise<void>;
  unpause(id: ContainerId): Promise<void>;
  pids(id: ContainerId): Promise<readonly number[]>;
  /** Forgets an ended task: its directory, its cgroup. */
  delete(id: ContainerId): Promise<void>;
  reattach(): Promise<ReadonlyMap<string, ReattachedTask>>;
}

/** What the runtime calls back; given to it at construction. */
export interface TaskHandlers {
  onExit(id: ContainerId, exit: TaskExit): void;
  onExecExit(id: ContainerId, execId: ExecId, exitCode: number): void;
  onOom(id: ContainerId): void;
}

/** An endpoint as it is while the container runs. */
export interface LiveEndpoint {
  readonly networkName: string;
  readonly networkId: string;
  readonly endpointId: string;
  readonly gateway: string;
  readonly ipAddress: string;
  readonly ipPrefixLength: number;
  readonly macAddress: string;
}

export interface LiveSandbox {
  readonly sandboxId: string;
  readonly sandboxKey: string;
  readonly endpoints: readonly LiveEndpoint[];
  /** Host ports as bound, one list per `80/tcp`; null for what is only exposed. */
  readonly ports: Readonly<Record<string, readonly PortBinding[] | null>>;
}

export interface SandboxWish {
  readonly id: ContainerId;
  readonly name: string;
  /** `bridge`, `host`, `none`, `container:<id>` or the name of a network. */
  readonly mode: string;
  readonly hostname: string;
  readonly endpoints: Readonly<Record<string, EndpointWish>>;
  readonly ports: PortMap;
  readonly exposedPorts: readonly string[];
  readonly publishAll: boolean;
  readonly macAddress: string;
}

export interface NetworkPort {
  /** `netnsFd` null: the process stays in the host's network namespace. */
  prepare(wish: SandboxWish): Promise<{ readonly netnsFd: number | null; readonly sandbox: LiveSandbox }>;
  /** The task runs: links to its namespace by pid may be made, the prepared descriptor may close. */
  started(id: ContainerId, pid: number): Promise<void>;
  release(id: ContainerId): Promise<void>;
  /** At boot: what still runs keeps its addresses and ports; everything else of ours is swept. */
  restore(running: readonly { readonly id: ContainerId; readonly pid: number }[]): Promise<ReadonlyMap<string, LiveSandbox>>;
  /** Id of a network by name, for inspect of what does not run; null when there is none. */
  networkId(name: string): string | null;
}

export interface PlannedMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface VolumePort {
  /** Checked and ready for the runtime spec; makes missing sources of binds. */
  planMounts(mounts: readonly MountPoint[], requests: MountWishes): Promise<readonly PlannedMount[]>;
  /** Whether a bind source exists, for the checks of create. */
  sourceExists(path: string): Promise<boolean>;
  /** Where a named volume's files are; made when missing. */
  ensureVolume(name: string): Promise<{ readonly name: string; readonly path: string; readonly driver: string }>;
}

export interface MountWishes {
  readonly tmpfs: Readonly<Record<string, string>>;
  readonly record: Pick<ContainerRecord, 'id' | 'hostConfig'>;
}

/** The part of an image config that create merges. */
export interface ImageDefaults {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  readonly StopTimeout?: number;
  readonly Healthcheck?: Healthcheck;
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[] | null;
  readonly ArgsEscaped?: boolean;
}

export interface ResolvedImage {
  /** `sha256:…` of the config. */
  readonly id: string;
  readonly chainId: string | null;
  readonly config: ImageDefaults;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly sizeBytes: number;
  readonly repoTags: readonly string[];
}

export interface ImagePort {
  /** Throws `notFound` with the text that clients match. */
  resolve(reference: string): Promise<ResolvedImage>;
}

export interface RootfsHandle {
  readonly fd: number;
  close(): Promise<void>;
}

export interface SnapshotPort {
  readonly name: string;
  createWritable(id: ContainerId, parent: string | null): Promise<void>;
  removeWritable(id: ContainerId): Promise<void>;
  writableUsage(id: ContainerId): Promise<number>;
  rootfs(id: ContainerId): Promise<RootfsHandle>;
  graphDriverData(id: ContainerId): { readonly name: string; readonly data: Readonly<Record<string, string>> };
}

/** Access to a container's file tree, resolved inside it (`openat2` with RESOLVE_IN_ROOT), never on the host. */
export interface RootTreePort {
  /** Content of a regular file, opened without blocking; null when there is none. Larger than `maxBytes` or not a regular file: throws. */
  readFile(rootFd: number, path: string, maxBytes: number): Promise<Uint8Array | null>;
  kindOf(rootFd: number, path: string): Promise<'missing' | 'directory' | 'file' | 'other'>;
  makeDirectories(rootFd: number, path: string, owner: { readonly uid: number; readonly gid: number }): Promise<void>;
}

/** Facts about the machine that decide about warnings and defaults. */
export interface HostFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly cgroupVersion: 1 | 2;
  readonly hasBlkioWeight: boolean;
  readonly hasSwapLimit: boolean;
  readonly hostname: string;
  readonly bootId: string;
  readonly architecture: string;
}

export interface ContainerEvent {
  readonly action: string;
  readonly id: ContainerId;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeNanos: bigint;
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
  readonly shutdownTimeoutSeconds: number;
}

export interface ContainerDeps {
  readonly settings: ContainerSettings;
  readonly facts: HostFacts;
  readonly images: ImagePort;
  readonly snapshots: SnapshotPort;
  readonly tasks: TaskPort;
  readonly networks: NetworkPort;
  readonly volumes: VolumePort;
  readonly tree: RootTreePort;
  readonly clock: Clock;
  readonly log: Log;
  /** Broadcast only; nothing acts on it. */
  readonly emit: (event: ContainerEvent) => void;
}
