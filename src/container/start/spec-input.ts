import { EngineError } from '#base/errors.ts';
import type {
  DeviceInput,
  IpcMode,
  JoinableMode,
  MountInput,
  ResourceInput,
  SpecInput,
  UsernsMode,
} from '#runtime/spec.ts';
import { TASK_SHM } from '#runtime/spec.ts';
import type { ResolvedUser } from '#runtime/user.ts';
import type { MountPoint } from '#volume/model.ts';
import { joined } from '../normalize/modes.ts';
import {
  apparmorProfile,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
  parseSecurityOptions,
} from '../normalize/security.ts';
import type { ContainerSettings, MachineFacts } from '../ports.ts';
import type { ContainerRecord } from '../record.ts';

/** What was found out about the host and the container's tree before a spec can be built. */
export interface SpecFindings {
  readonly user: ResolvedUser;
  readonly devices: DeviceInput;
  readonly resources: ResourceInput;
  /** Full ids of the containers whose namespaces are joined. */
  readonly joinedIds: {
    readonly network: string | null;
    readonly pid: string | null;
    readonly ipc: string | null;
  };
  readonly networkFiles: SpecInput['networkFiles'];
  readonly userns?: UsernsMode;
}

function joinable(mode: string, id: string | null): JoinableMode {
  if (mode === 'host') return { mode: 'host' };
  return joined(mode) !== null && id !== null ? { mode: 'container', id } : { mode: 'private' };
}

function ipcMode(mode: string, id: string | null): IpcMode {
  if (joined(mode) !== null && id !== null) return { mode: 'container', id, shmPath: TASK_SHM };
  return { mode: mode === 'none' || mode === 'host' || mode === 'shareable' ? mode : 'private' };
}

/** A volume with options of the local driver is what they say: a tmpfs, or a folder of the host. */
function volumeInput(mount: MountPoint): MountInput | null {
  const { type, device, o = '' } = mount.volumeOptions ?? {};
  if (mount.type !== 'volume' || (type === undefined && device === undefined)) return null;
  const options = o.split(',').filter((option) => option !== '');
  const { destination } = mount;
  if (type === 'tmpfs') {
    return { type: 'tmpfs', destination, options: [...options, ...(mount.readOnly ? ['ro'] : [])] };
  }
  if (!options.includes('bind') && !options.includes('rbind')) {
    throw new EngineError(
      'notImplemented',
      `volume ${mount.name}: this engine does not mount type ${JSON.stringify(type ?? '')} yet, only tmpfs and binds`,
    );
  }
  const readonly = mount.readOnly || options.includes('ro');
  const nonRecursive = options.includes('rbind') ? {} : { nonRecursive: true };
  return { type: 'bind', source: device ?? '', destination, readonly, propagation: '', ...nonRecursive };
}

function pointInput(mount: MountPoint): MountInput {
  const { destination } = mount;
  if (mount.type === 'tmpfs') {
    return {
      type: 'tmpfs',
      destination,
      options: [...mount.tmpfsOptions, ...(mount.readOnly ? ['ro'] : [])],
    };
  }
  return {
    type: 'bind',
    source: mount.source,
    destination,
    readonly: mount.readOnly,
    propagation: mount.propagation,
    ...(!mount.recursive && { nonRecursive: true }),
    ...(mount.readOnlyNonRecursive && { readonlyNonRecursive: true }),
  };
}

/** Shallow destinations first, so that none hides another. */
export function mountInputs(mounts: readonly MountPoint[]): MountInput[] {
  const depth = (path: string): number => path.split('/').filter((part) => part !== '').length;
  return [...mounts]
    .sort((a, b) => depth(a.destination) - depth(b.destination))
    .map((mount) => volumeInput(mount) ?? pointInput(mount));
}

/** `/docker/<id>`, or below the container's own parent. */
export function cgroupPathOf(
  record: ContainerRecord,
  settings: Pick<ContainerSettings, 'cgroupParent'>,
): string {
  const parent = record.hostConfig.CgroupParent || settings.cgroupParent;
  return `${parent.startsWith('/') ? '' : '/'}${parent.replace(/\/+$/, '')}/${record.id}`;
}

const same = (a: readonly string[] | null, b: readonly string[]): boolean =>
  a !== null && a.length === b.length && a.every((item, i) => item === b[i]);

/** Plain data in, plain data out: what decides about a container's `config.json`. */
export function specInput(
  record: ContainerRecord,
  findings: SpecFindings,
  machine: { facts: MachineFacts; settings: ContainerSettings },
): SpecInput {
  const { config, hostConfig: host } = record;
  const { settings } = machine;
  const security = parseSecurityOptions(host.SecurityOpt, settings.defaults?.noNewPrivileges);
  const wantsInit = host.Init ?? settings.defaults?.init ?? false;
  const [height, width] = host.ConsoleSize;
  const { joinedIds } = findings;
  return {
    id: record.id,
    args: [record.path, ...record.args],
    env: config.Env,
    cwd: config.WorkingDir,
    user: findings.user,
    terminal: config.Tty,
    ...(config.Tty && height > 0 && width > 0 && { consoleSize: { height, width } }),
    hostname: config.Hostname,
    domainname: config.Domainname,
    rootfsReadonly: host.ReadonlyRootfs,
    ...(wantsInit && settings.initPath !== null && { initPath: settings.initPath }),
    network: joinable(host.NetworkMode, joinedIds.network),
    pid: joinable(host.PidMode, joinedIds.pid),
    ipc: ipcMode(host.IpcMode, joinedIds.ipc),
    uts: host.UTSMode === 'host' ? 'host' : 'private',
    ...(findings.userns !== undefined && { userns: findings.userns }),
    cgroupNamespace: host.CgroupnsMode === 'private' ? 'private' : 'host',
    cgroupPath: cgroupPathOf(record, settings),
    mounts: mountInputs(record.mounts),
    networkFiles: findings.networkFiles,
    shmSizeBytes: host.ShmSize,
    security: {
      privileged: host.Privileged,
      capabilities: { add: host.CapAdd ?? [], drop: host.CapDrop ?? [] },
      noNewPrivileges: security.noNewPrivileges,
      seccomp: security.seccomp,
      apparmor: apparmorProfile(host, machine.facts.apparmor),
      // The record shows the fixed list; the host's own additions belong to the default only.
      maskedPaths: same(host.MaskedPaths, DEFAULT_MASKED_PATHS) ? null : host.MaskedPaths,
      readonlyPaths: same(host.ReadonlyPaths, DEFAULT_READONLY_PATHS) ? null : host.ReadonlyPaths,
    },
    resources: findings.resources,
    devices: findings.devices,
    sysctls: host.Sysctls ?? {},
    oomScoreAdj: host.OomScoreAdj,
    annotations: host.Annotations ?? {},
    host: machine.facts.spec,
  };
}
