import {
  OCI_RUNTIME_VERSION,
  type RuntimeSpec,
  type SpecLinux,
  type SpecMount,
  type SpecProcess,
} from '#oci/runtime-spec.ts';
import { seccompFor } from './seccomp/profile.ts';
import { capabilitySets, resolveCapabilities } from './spec/capabilities.ts';
import { containerEnvironment, replaceOrAppend } from './spec/environment.ts';
import { buildMounts, rootPropagation } from './spec/mounts.ts';
import { buildNamespaces, idMappings, isRemapped } from './spec/namespaces.ts';
import { buildResources } from './spec/resources.ts';
import type { SpecInput } from './spec-input.ts';
import type { ResolvedUser } from './user.ts';

export type { RuntimeSpec } from '#oci/runtime-spec.ts';
export { TASK_SHM } from './spec/namespaces.ts';
export type {
  JoinableMode,
  IpcMode,
  UsernsMode,
  MountInput,
  CapabilityInput,
  SecurityInput,
  ResourceInput,
  DeviceInput,
  HostFacts,
  SpecInput,
} from './spec-input.ts';

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
const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

function specUser(user: ResolvedUser): { uid: number; gid: number; additionalGids?: number[] } {
  const gids = [...user.additionalGids];
  return gids.length === 0
    ? { uid: user.uid, gid: user.gid }
    : { uid: user.uid, gid: user.gid, additionalGids: gids };
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
    process.rlimits = ulimits.map((u) => ({
      type: `RLIMIT_${u.name.toUpperCase()}`,
      hard: u.hard,
      soft: u.soft,
    }));
  }
  if (input.security.noNewPrivileges) process.noNewPrivileges = true;
  if (input.security.apparmor !== '') process.apparmorProfile = input.security.apparmor;
  return process;
}

function buildSysctls(input: SpecInput): Record<string, string> | undefined {
  const sysctls: Record<string, string> = {};
  if (input.network.mode === 'private') {
    sysctls['net.ipv4.ip_unprivileged_port_start'] = '0';
    // Most of these groups do not exist in a user namespace.
    if (!isRemapped(input)) sysctls['net.ipv4.ping_group_range'] = '0 2147483647';
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
 * `config.json` of a container. Pure: the same input gives the same spec. Labels never become annotations and
 * there are no hooks.
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
      ...idMappings(input),
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
  if (exec.privileged && process.apparmorProfile !== undefined) process.apparmorProfile = 'unconfined';
  delete process.consoleSize;
  if (exec.terminal && exec.consoleSize !== undefined) process.consoleSize = { ...exec.consoleSize };
  return process;
}
