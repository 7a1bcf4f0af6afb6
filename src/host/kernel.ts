/**
 * What the engine asks of Linux. Every other room reaches the kernel through these interfaces;
 * `createKernel()` in `real.ts` is the implementation, `createRecorder()` in `recorder.ts` the recording
 * fake. Failures are `KernelError`s.
 * Synchronous calls take microseconds (netlink, openat2 on trees of our own); whatever can wait for a disk, a
 * lock or another process returns a promise and runs on a thread of its own, never in node's pool.
 */
import type { FilePort } from '#base/file-steps.ts';
import type { IdMappings, Owner } from '#base/id-mapping.ts';
import type { EntryBatch } from './entry-batch.ts';
import type {
  ConnectionFilter,
  FirewallDump,
  FirewallOperation,
  SetElement,
  TableAddress,
} from './firewall-operations.ts';
import type { AddressRecord, Link, LinkOperation, RouteRecord } from './link-operations.ts';
import type { Memory } from './memory.ts';
import type { Threads } from './threads.ts';

export interface Kernel {
  readonly files: Files;
  readonly mounts: Mounts;
  readonly links: Links;
  readonly firewall: Firewall;
  readonly namespaces: Namespaces;
  readonly cgroups: Cgroups;
  readonly processes: Processes;
  readonly threads: Threads;
  readonly memory: Memory;
  readonly sockets: Sockets;
  readonly system: System;
}

/** Names that are not UTF-8 are given as bytes. */
export type FilePath = string | Buffer;

export type FileType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'character'
  | 'block'
  | 'unknown';

export interface FileStat {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** 512-byte blocks in use. */
  readonly blocks: number;
  readonly inode: bigint;
  readonly links: number;
  /** Of the file system. */
  readonly device: { readonly major: number; readonly minor: number };
  /** Of a device node. */
  readonly rdev: { readonly major: number; readonly minor: number };
  readonly mtime: FileTime;
  readonly ctime: FileTime;
}

/** Whole seconds since 1970 (may be negative) and nanoseconds within the second. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface DirectoryEntry {
  readonly name: string;
  /** The name's bytes: differs from `name` where that is not UTF-8. */
  readonly bytes: Buffer;
  /** `unknown` on file systems that do not say. */
  readonly type: FileType;
}

export interface OpenOptions {
  /** `path` gives an O_PATH descriptor: a handle for further calls, no reading. Default `read`. */
  readonly access?: 'read' | 'write' | 'readwrite' | 'path';
  readonly create?: boolean;
  /** With `create`: EEXIST when it is there already. */
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
  readonly directory?: boolean;
  /** A symbolic link as last component: ELOOP (with access `path`: the link itself). */
  readonly noFollow?: boolean;
  /** No symbolic link anywhere on the way: ELOOP. */
  readonly noSymlinks?: boolean;
  /** Does not wait for the other end of a FIFO. */
  readonly nonBlocking?: boolean;
  /** For `create`; with `exclusive` the umask is not applied. Default 0o644. */
  readonly mode?: number;
}

export interface MknodOptions {
  readonly type: 'fifo' | 'socket' | 'character' | 'block' | 'file';
  readonly mode: number;
  readonly major?: number;
  readonly minor?: number;
}

/**
 * Calls on a file tree that other people control. `root` is a directory descriptor, `path` is resolved inside
 * it as if the root were `/` (`RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`): neither `..` nor a symbolic link
 * leads out. The last component of every call but `open` and `readFile` is never followed, unless an option
 * says so. A path without a slash costs no look-up of its parent, so callers with many files in one directory
 * open that directory and pass it as the root. `''` or `'.'` names the root itself where that makes sense
 * (stat, chown, chmod, setTimes, xattrs).
 */
export interface FileTree {
  /** Opens a descriptor; it is an ordinary one, so `node:fs` calls take it. Always close-on-exec. */
  open(root: number, path: FilePath, options?: OpenOptions): number;
  close(fd: number): void;
  stat(root: number, path: FilePath, options?: { readonly follow?: boolean }): FileStat;
  /**
   * Reads a whole regular file; EFBIG above `maxBytes`, EINVAL when it is no regular file. Follows links
   * inside the root.
   */
  readFile(root: number, path: FilePath, maxBytes: number): Buffer;
  /**
   * `directory` is a descriptor opened for reading (not O_PATH). Without `.` and `..`, in the kernel's order.
   */
  readDirectory(directory: number): readonly DirectoryEntry[];
  readLink(root: number, path: FilePath): Buffer;
  /** The umask is not applied by mkdir and mknod. */
  mkdir(root: number, path: FilePath, mode: number): void;
  mknod(root: number, path: FilePath, node: MknodOptions): void;
  symlink(target: FilePath, root: number, path: FilePath): void;
  /** Hard link from an existing name to a new one, both inside the same root. */
  link(root: number, existing: FilePath, path: FilePath): void;
  rename(root: number, from: FilePath, to: FilePath): void;
  unlink(root: number, path: FilePath): void;
  rmdir(root: number, path: FilePath): void;
  /**
   * Removes a whole tree, on descriptors, not crossing into other mounts (EBUSY). Nothing there: no error.
   */
  removeTree(root: number, path: FilePath): void;
  chown(root: number, path: FilePath, owner: { readonly uid: number; readonly gid: number }): void;
  /** A symbolic link has no mode: EOPNOTSUPP. */
  chmod(root: number, path: FilePath, mode: number): void;
  /** `null` leaves a time as it is. */
  setTimes(
    root: number,
    path: FilePath,
    times: { readonly atime: FileTime | null; readonly mtime: FileTime | null },
  ): void;
  setXattr(root: number, path: FilePath, attribute: { readonly name: string; readonly value: Buffer }): void;
  /** `null` when there is no such attribute. */
  getXattr(root: number, path: FilePath, name: string): Buffer | null;
  listXattrs(root: number, path: FilePath): readonly string[];
  removeXattr(root: number, path: FilePath, name: string): void;
  /** Writes back the file system that `fd` is on. Use it from `slow`. */
  syncFileSystem(fd: number): void;
}

type Promised<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : never;
};

/**
 * The same calls, each on a thread of its own: for trees that may hang (FUSE, NFS), for closing an overlay's
 * last descriptor.
 */
export type SlowFileTree = Promised<FileTree>;

export interface Files extends FileTree, FilePort {
  readonly slow: SlowFileTree;
  /** `slow` with what is made belonging to somebody else than root, and root's rights nevertheless. */
  slowAs(owner: Owner): SlowFileTree;
  /**
   * Whether a path leads anywhere inside the root: null, or the name of the errno (ENOENT, ELOOP, …) without
   * an exception. Some microseconds.
   */
  reach(root: number, path: FilePath, options?: Pick<OpenOptions, 'noSymlinks'>): string | null;
  /** For making many entries with few calls, on the calling thread. The umask is that of now. */
  startBatch(): EntryBatch;
  /** Not in node's pool, which gives way to the main thread. Gives how many of the bytes were taken. */
  writeAt(fd: number, bytes: Uint8Array, offset: number): Promise<number>;
  /** Starts to write a part to the disk: a later fdatasync finds less to do. Length 0: up to the end. */
  startWriteBack(fd: number, range: { readonly offset: number; readonly length: number }): Promise<void>;
  /** An O_PATH descriptor of an absolute path of the host, links followed: the root for the calls above. */
  openRoot(path: string): number;
  /**
   * The file system an absolute path lies on, by the kernel's name (`ext4`, `tmpfs`, `overlay`, …, else
   * `0x<magic>`).
   */
  fileSystemType(path: string): string;
}

/** How a mount shows its files to a user namespace: what lies on the disk as 0 is the namespace's 0. */
export interface IdShift {
  /** Descriptor of the user namespace. */
  readonly userns: number;
  /** The host's ids of its root: whoever makes files through such a mount has ids that are mapped. */
  readonly root: Owner;
}

export interface OverlayOptions {
  /** Absolute paths of directories, top layer first, at least one. */
  readonly lower: readonly string[];
  /** Without upper and work the mount is read-only. */
  readonly upper?: string;
  /** Beside `upper`, in the same directory. */
  readonly work?: string;
  /** Layers are given as idmapped mounts (Linux 5.19). Files stay unshifted on the disk, new ones, too. */
  readonly shift?: IdShift;
}

export interface MountEntry {
  readonly id: number;
  readonly root: string;
  readonly mountPoint: string;
  readonly options: string;
  readonly type: string;
  readonly source: string;
  readonly superOptions: string;
}

export interface Mounts {
  /**
   * An overlay mounted nowhere: the descriptor of a detached mount, to be attached by whoever gets it. Close
   * it with `files.slow.close`: the last close writes back the upper file system.
   */
  overlay(options: OverlayOptions): Promise<number>;
  /** A detached bind mount of a host path (`recursive`: with everything mounted below it), without peers. */
  cloneTree(
    path: string,
    options?: {
      readonly recursive?: boolean;
      /** As seen through this user namespace (`OverlayOptions.shift`). */
      readonly userns?: number;
    },
  ): Promise<number>;
  /** Attaches a detached mount to a path of this process's mount namespace. */
  attach(mount: number, path: string): void;
  /** Lazily detaches what is mounted at the path. */
  detach(path: string): void;
  /** This process's mount table. */
  table(): readonly MountEntry[];
  capabilities(): { readonly overlay: boolean; readonly lowerdirAppend: boolean };
}

/** Stops a watch; idempotent. */
export interface Watch {
  close(): void;
}

/**
 * rtnetlink. Operations are data (`link-operations.ts`) so that plans can be compared; a batch travels in as
 * few messages as the names in it allow. With `netns` the calls work inside that network namespace, else in
 * this process's.
 */
export interface Links {
  /** In order; the first failure is thrown and names its operation, the rest is not tried. */
  apply(operations: readonly LinkOperation[], netns?: number): void;
  list(netns?: number): readonly Link[];
  /** `null` when there is no link of that name. */
  find(name: string, netns?: number): Link | null;
  addresses(netns?: number): readonly AddressRecord[];
  routes(netns?: number): readonly RouteRecord[];
  /** Calls back for every link that goes from this process's network namespace, soon. */
  watchRemovals(listener: (link: Link) => void): Watch;
}

/**
 * nftables and connection tracking by netlink, in this process's network namespace unless `netns` is given.
 */
export interface Firewall {
  /** One transaction: all of it or, on the first error, nothing. The error's `path` names the operation. */
  commit(operations: readonly FirewallOperation[], netns?: number): void;
  /** Names of all tables, with their families. */
  tables(netns?: number): readonly TableAddress[];
  /** Chains (of every table, with hook and policy), and the rules of one table when it is named. */
  dump(table?: TableAddress, netns?: number): FirewallDump;
  elements(table: TableAddress, set: string): readonly SetElement[];
  /** The ruleset's generation: changes with every commit of anybody. */
  generation(netns?: number): number;
  /** Calls back when somebody else than `commit` here changed the ruleset. */
  watch(listener: () => void): Watch;
  /** Deletes tracked connections that match, and says how many. */
  forgetConnections(filter: ConnectionFilter): number;
}

/** What connects a network namespace: made in this order. */
export interface NetworkSetup {
  /** In this process's namespace. */
  readonly outside?: readonly LinkOperation[];
  /** Inside, before `inside`. A setting that the kernel does not have is skipped. */
  readonly sysctls?: readonly (readonly [name: string, value: string])[];
  readonly inside?: readonly LinkOperation[];
}

export interface Namespaces {
  /** A new one, kept by the returned descriptor alone; of `userns` when that is given. On another thread. */
  createNetwork(options?: { readonly userns?: number }): Promise<number>;
  /** On another thread. What was made before something is refused stays. */
  connectNetwork(netns: number, setup: NetworkSetup): Promise<void>;
  /** A new user namespace with these mappings, kept by the returned descriptor alone. */
  createUser(mappings: IdMappings): Promise<number>;
  /** Opens the network namespace of a process. */
  openNetwork(pid: number): number;
  /**
   * Runs `work` with the main thread inside the network namespace and always comes back. `work` must not
   * await: a returned promise is refused. If the way back fails the process cannot go on and is ended.
   */
  inNetwork<T>(netns: number, work: () => T): T;
  /** Inode number, which names the namespace. */
  identity(netns: number): bigint;
}

export type CgroupVersion = 'v1' | 'v2' | 'hybrid';

export interface CgroupHierarchy {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /**
   * v1: those mounted here (`name=systemd` for a hierarchy without one); v2: what cgroup.controllers says.
   */
  readonly controllers: readonly string[];
}

export interface CgroupLayout {
  readonly version: CgroupVersion;
  /** In the order of the mount table. */
  readonly hierarchies: readonly CgroupHierarchy[];
}

/**
 * Control groups, one interface for v1, v2 and both at once. Paths are absolute within the hierarchies
 * (`/docker/<id>`), as the OCI runtime spec's `cgroupsPath`: the directory has that path below each
 * hierarchy's mount point.
 */
export interface Cgroups {
  readonly version: CgroupVersion;
  /** What is mounted where. */
  layout(): CgroupLayout;
  /** Controllers available, sorted (`cpu`, `memory`, `pids`, …). */
  readonly controllers: readonly string[];
  /** In every hierarchy, with its parents; idempotent. */
  create(path: string): void;
  exists(path: string): boolean;
  /** Names of the children, of any hierarchy. */
  list(path: string): readonly string[];
  /** Pids in the group and below it. */
  processes(path: string): readonly number[];
  /**
   * SIGKILL to every process of the group and below, again until none is left; rejects with EBUSY after
   * `timeoutMs` (5000).
   */
  kill(path: string, timeoutMs?: number): Promise<void>;
  /** Removes the group and those below it, waiting shortly for exiting processes; EBUSY when some stay. */
  remove(path: string): Promise<void>;
  /** False when something is in it still, or below it; then it may be gone from some hierarchies. */
  removeEmpty(path: string): Promise<boolean>;
  freeze(path: string): Promise<void>;
  thaw(path: string): Promise<void>;
  isFrozen(path: string): boolean;
  /** Processes killed for lack of memory since the group was made. */
  oomKills(path: string): number;
  /**
   * A file of the group: v1 `read(p, 'memory', 'memory.usage_in_bytes')`, v2 `read(p, '', 'memory.current')`;
   * null if absent.
   */
  read(path: string, controller: string, file: string): string | null;
  /**
   * Writes such a file. ENOENT when there is none; EBUSY or EINVAL when the kernel does not take the value.
   * May wait for memory to be written out.
   */
  write(
    path: string,
    controller: string,
    entry: { readonly file: string; readonly value: string },
  ): Promise<void>;
}

/** Names one process for ever: a pid alone is used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat. */
  readonly startTime: number;
}

export interface SpawnOptions {
  /** Absolute path, or `/proc/self/fd/N`. */
  readonly path: string;
  /** With argv[0]. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * Descriptor number in the child → ours. Every other descriptor is closed; 0, 1, 2 not named here are
   * /dev/null.
   */
  readonly fds?: ReadonlyMap<number, number>;
  /** An existing cgroup the child is born in. */
  readonly cgroup?: string;
}

export type ExitStatus = { readonly exitCode: number } | { readonly signal: number };

export interface SpawnedProcess extends ProcessIdentity {
  /**
   * Fulfilled when it ended and was reaped, if that happens while this process lives. Waiting for it does not
   * keep the event loop alive: children outlive the daemon.
   */
  readonly exited: Promise<ExitStatus>;
}

export interface ProcessFacts extends ProcessIdentity {
  readonly parentPid: number;
  /** R, S, D, T, Z, … */
  readonly state: string;
  readonly command: string;
}

export interface Processes {
  /**
   * Starts a program in a session of its own, with all signals at their defaults and none blocked. The work
   * is done on another thread; a failure before the program runs (cgroup, cwd, exec) rejects with its errno
   * and leaves no process.
   */
  spawn(options: SpawnOptions): Promise<SpawnedProcess>;
  /** `null` when there is no such process. A zombie still has an identity. */
  identity(pid: number): ProcessIdentity | null;
  /** True while it runs; a zombie does not. */
  alive(identity: ProcessIdentity): boolean;
  /** Signals just that process, never one that got its pid later; false when it is gone. */
  signal(identity: ProcessIdentity, signal: number): boolean;
  facts(pid: number): ProcessFacts | null;
}

export type PortProtocol = 'tcp' | 'udp' | 'sctp';

export interface PortAddress {
  readonly protocol: PortProtocol;
  /** Numeric IPv4 or IPv6; `0.0.0.0` and `::` mean all of that family (IPv6 sockets take IPv6 only). */
  readonly address: string;
  /** 0: the kernel picks one. */
  readonly port: number;
  /** False: only bound. Where nobody will ever accept, a client is refused instead of left waiting. */
  readonly listen?: boolean;
}

export interface Sockets {
  /**
   * Binds (TCP and SCTP: listens, too) and keeps the port. EADDRINUSE, EADDRNOTAVAIL, EACCES as
   * `KernelError.code`.
   */
  holdPort(address: PortAddress): { readonly fd: number; readonly port: number };
  /**
   * Descriptors of socket activation (LISTEN_FDS for this pid), and clears the variables, so that it answers
   * once.
   */
  inherited(): readonly number[];
  /** A connected pair of unix stream sockets, both close-on-exec. */
  pair(): readonly [number, number];
  sendFds(socket: number, fds: readonly number[], message?: Buffer): void;
  /** Waits for one message; ECONNRESET when the other end closed instead. */
  receiveFds(socket: number): Promise<{ readonly fds: readonly number[]; readonly message: Buffer }>;
}

export interface SystemFacts {
  readonly hostname: string;
  /** `6.1.0-13-amd64`. */
  readonly kernelVersion: string;
  /** `Debian GNU/Linux 12 (bookworm)`: PRETTY_NAME of os-release. */
  readonly operatingSystem: string;
  /** VERSION_ID of os-release, or empty. */
  readonly osVersion: string;
  /** As uname says (`x86_64`, `aarch64`). */
  readonly machine: string;
  /** How far the processors go beyond the first of their kind: `v1` to `v4` on amd64, else empty. */
  readonly processorLevel: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly swapBytes: number;
  readonly bootId: string;
  readonly seccomp: boolean;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  readonly cgroupNamespaces: boolean;
  readonly userNamespaces: boolean;
}

export interface System {
  facts(): SystemFacts;
  /** Whether an AppArmor profile of that name is loaded; false where AppArmor is off. */
  hasApparmorProfile(name: string): boolean;
  /**
   * A file below /proc/sys (`net/ipv4/ip_forward`), trimmed; null when absent. With `netns`: of that network
   * namespace.
   */
  readSysctl(name: string, netns?: number): string | null;
  writeSysctl(name: string, value: string, netns?: number): void;
}
