import {
  OCI_RUNTIME_VERSION,
  type RuntimeSpec,
  type SpecBlockIo,
  type SpecCpu,
  type SpecDevice,
  type SpecDeviceCgroup,
  type SpecLinux,
  type SpecMount,
  type SpecProcess,
} from '#oci/runtime-spec.ts';
import { seccompFor } from './seccomp/profile.ts';
import { capabilitySets, resolveCapabilities } from './spec/capabilities.ts';
import { containerEnvironment, replaceOrAppend } from './spec/environment.ts';
import { buildMounts, rootPropagation } from './spec/mounts.ts';
import { buildNamespaces } from './spec/namespaces.ts';
import { buildResources } from './spec/resources.ts';
import type { ResolvedUser } from './user.ts';

export type { RuntimeSpec } from '#oci/runtime-spec.ts';

/** A namespace of another container is bound at start: the task service holds it open by the task's identity. */
export type JoinableMode = { readonly mode: 'private' } | { readonly mode: 'host' } | { readonly mode: 'container'; readonly id: string };

export type IpcMode =
  | { readonly mode: 'private' | 'none' | 'host' }
  /** `shmPath`: a tmpfs outside of the container, shown as its /dev/shm. */
  | { readonly mode: 'shareable'; readonly shmPath?: string }
  | { readonly mode: 'container'; readonly id: string; readonly shmPath?: string };

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
  /** Existing files that the reference masks besides its fixed list (thermal throttle counters of each CPU). */
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

/** A spec whose parts are all there, as `buildRuntimeSpec` makes it. */
export interface ContainerSpec extends RuntimeSpec {
  process: SpecProcess;
  root: { path: string; readonly?: boolean };
  mounts: SpecMount[];
  linux: SpecLinux;
}

/** What an exec changes of its container's process. */
export interface ExecProcessInput {
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** '': the container's. */
  readonly cwd: string;
  readonly user: ResolvedUser;
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly privileged: boolean;
}

/** Where a container's root file system is, seen from its bundle. */
export const ROOTFS = 'rootfs';
const INIT_PATH = '/sbin/docker-init';

const MASKED_PATHS: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

function specUser(user: ResolvedUser): { uid: number; gid: number; additionalGids?: number[] } {
  const gids = [...user.additionalGids];
  return gids.length === 0 ? { uid: user.uid, gid: user.gid } : { uid: user.uid, gid: user.gid, additionalGids: gids };
}

function capabilityNames(input: SpecInput): string[] {
  const all = input.host.capabilities;
  return input.security.privileged ? [...all] : resolveCapabilities(input.security.capabilities, all);
}

function buildProcess(input: SpecInput): SpecProcess {
  const init = input.initPath !== undefined && input.pid.mode === 'private';
  const process: SpecProcess = {
    ...(input.terminal ? { terminal: true } : {}),
    ...(input.terminal && input.consoleSize !== undefined ? { consoleSize: { ...input.consoleSize } } : {}),
    user: specUser(input.user),
    args: init ? [INIT_PATH, '--', ...input.args] : [...input.args],
    env: containerEnvironment(input),
    cwd: input.cwd === '' ? '/' : input.cwd,
    capabilities: capabilitySets(capabilityNames(input)),
    oomScoreAdj: input.oomScoreAdj,
  };
  const ulimits = input.resources.ulimits ?? [];
  if (ulimits.length > 0) {
    process.rlimits = ulimits.map((u) => ({ type: `RLIMIT_${u.name.toUpperCase()}`, hard: u.hard, soft: u.soft }));
  }
  if (input.security.noNewPrivileges) process.noNewPrivileges = true;
  if (input.security.apparmor !== '') process.apparmorProfile = input.security.apparmor;
  return process;
}

function buildSysctls(input: SpecInput): Record<string, string> | undefined {
  const sysctls: Record<string, string> = {};
  if (input.network.mode === 'private') {
    sysctls['net.ipv4.ip_unprivileged_port_start'] = '0';
    sysctls['net.ipv4.ping_group_range'] = '0 2147483647';
  }
  if (input.uts === 'private' && input.domainname !== '') sysctls['kernel.domainname'] = input.domainname;
  for (const [name, value] of Object.entries(input.sysctls)) sysctls[name] = value;
  return Object.keys(sysctls).length === 0 ? undefined : sysctls;
}

function pathLists(input: SpecInput): { maskedPaths?: string[]; readonlyPaths?: string[] } {
  if (input.security.privileged) return {};
  const masked = input.security.maskedPaths ?? [...MASKED_PATHS, ...input.host.extraMaskedPaths];
  const readonly = input.security.readonlyPaths ?? READONLY_PATHS;
  return {
    ...(masked.length > 0 ? { maskedPaths: [...masked] } : {}),
    ...(readonly.length > 0 ? { readonlyPaths: [...readonly] } : {}),
  };
}

/**
 * `config.json` of a container. Pure: the same input gives the same spec. Labels never become annotations and there are no hooks.
 * Errors: `invalidArgument` with the reference's text for a bad seccomp profile, tmpfs option or capability.
 */
export function buildRuntimeSpec(input: SpecInput): ContainerSpec {
  const process = buildProcess(input);
  const sysctl = buildSysctls(input);
  const seccomp = seccompFor({
    profile: input.security.seccomp,
    privileged: input.security.privileged,
    capabilities: process.capabilities?.bounding ?? [],
    host: input.host,
  });
  const propagation = rootPropagation(input.mounts);
  return {
    ociVersion: OCI_RUNTIME_VERSION,
    process,
    root: { path: ROOTFS, ...(input.rootfsReadonly ? { readonly: true } : {}) },
    ...(input.uts === 'private' ? { hostname: input.hostname } : {}),
    mounts: buildMounts(input, INIT_PATH),
    ...(Object.keys(input.annotations).length > 0 ? { annotations: { ...input.annotations } } : {}),
    linux: {
      ...(sysctl === undefined ? {} : { sysctl }),
      resources: buildResources(input),
      cgroupsPath: input.cgroupPath,
      namespaces: buildNamespaces(input),
      ...(input.devices.nodes.length > 0 ? { devices: input.devices.nodes.map((d) => ({ ...d })) } : {}),
      ...(seccomp === undefined ? {} : { seccomp }),
      ...pathLists(input),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    },
  };
}

/** The process of an exec: the container's own, with what the exec changes. Pure. */
export function buildExecProcess(container: SpecInput, exec: ExecProcessInput): SpecProcess {
  const process = buildProcess({ ...container, terminal: exec.terminal, user: exec.user });
  process.args = [...exec.args];
  process.env = replaceOrAppend(process.env ?? [], exec.env);
  if (exec.cwd !== '') process.cwd = exec.cwd;
  if (exec.privileged) process.capabilities = capabilitySets(container.host.capabilities);
  delete process.consoleSize;
  if (exec.terminal && exec.consoleSize !== undefined) process.consoleSize = { ...exec.consoleSize };
  return process;
}
