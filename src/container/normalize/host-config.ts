import * as messages from '#api/messages.ts';
import { isIP } from 'node:net';
import { isJsonObject } from '#base/json.ts';
import { isRuntimePath } from '#runtime/runtimes.ts';
import type { MountRequest } from '#volume/model.ts';
import type { ContainerSettings, MachineFacts } from '../ports.ts';
import type { DeviceMapping, HostConfig } from '../record.ts';
import { invalid, wrongType, type Fields } from './fields.ts';
import { parseLogConfig } from './logging.ts';
import { parseModes } from './modes.ts';
import { parsePortBindings } from './ports.ts';
import { mergeUlimits, parseResources } from './resources.ts';
import { parseRestartPolicy } from './restart-policy.ts';
import { parseSecurity } from './security.ts';

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;

export interface HostConfigSources {
  readonly facts: MachineFacts;
  readonly settings: ContainerSettings;
  readonly apiVersion: string;
  readonly warnings: string[];
}

function parseDevices(fields: Fields): readonly DeviceMapping[] | null {
  return (
    fields.objects('Devices')?.map((item) => ({
      PathOnHost: item.text('PathOnHost'),
      PathInContainer: item.text('PathInContainer'),
      CgroupPermissions: item.text('CgroupPermissions'),
    })) ?? null
  );
}

function parseAnnotations(fields: Fields): Readonly<Record<string, string>> | null {
  const annotations = fields.textMap('Annotations');
  if (annotations !== null && Object.hasOwn(annotations, '')) {
    throw invalid('invalid Annotations: the empty string is not permitted as an annotation key');
  }
  return annotations;
}

function checkExtraHosts(hosts: readonly string[] | null): readonly string[] | null {
  for (const entry of hosts ?? []) {
    const at = entry.indexOf(':');
    if (at <= 0) throw invalid(`bad format for add-host: "${entry}"`);
    const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
    if (address !== 'host-gateway' && isIP(address) === 0)
      throw invalid(`invalid IP address in add-host: "${address}"`);
  }
  return hosts;
}

function consoleSize(fields: Fields): readonly [number, number] {
  const value = fields.raw('ConsoleSize');
  if (value === undefined) return [0, 0];
  if (!Array.isArray(value)) throw wrongType(value, '.HostConfig.ConsoleSize', '[2]uint');
  const [height, width] = value;
  return [typeof height === 'number' ? height : 0, typeof width === 'number' ? width : 0];
}

function parseRuntime(fields: Fields, settings: ContainerSettings): string {
  const runtime = fields.text('Runtime') || settings.defaultRuntime;
  if (!settings.runtimes.includes(runtime) && !isRuntimePath(runtime))
    throw invalid(messages.unknownRuntime(runtime));
  return runtime;
}

function requestedMounts(fields: Fields): readonly MountRequest[] | null {
  const list = fields.raw('Mounts');
  if (list === undefined) return null;
  if (!Array.isArray(list)) throw wrongType(list, '.HostConfig.Mounts', '[]mount.Mount');
  return list.map((item) => {
    if (!isJsonObject(item)) throw wrongType(item, '.HostConfig.Mounts', 'mount.Mount');
    for (const key of ['Type', 'Source', 'Target']) {
      const value = item[key] ?? '';
      if (typeof value !== 'string') throw wrongType(value, `.HostConfig.Mounts.${key}`, 'string');
    }
    return item;
  });
}

/**
 * The host half of a create body, defaults filled in. Errors: `invalidArgument` with the reference's texts.
 */
export function parseHostConfig(fields: Fields, sources: HostConfigSources): HostConfig {
  const { facts, settings, warnings } = sources;
  const annotations = parseAnnotations(fields);
  const shm = fields.integer('ShmSize');
  if (shm < 0) throw invalid('SHM size can not be less than 0');
  const score = fields.integer('OomScoreAdj');
  if (score < -1000 || score > 1000)
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  const security = parseSecurity(fields);
  const resources = parseResources(fields, facts, warnings);
  const ulimits = mergeUlimits(resources.Ulimits, settings.defaults?.ulimits ?? []);
  const storage = fields.textMap('StorageOpt');
  const tmpfs = fields.textMap('Tmpfs');
  const sysctls = fields.textMap('Sysctls');
  const mounts = requestedMounts(fields);
  const init = fields.optionalFlag('Init');
  const modes = parseModes(fields, sources);
  return {
    Binds: fields.texts('Binds'),
    ContainerIDFile: fields.text('ContainerIDFile'),
    LogConfig: parseLogConfig(fields, settings),
    NetworkMode: modes.NetworkMode,
    PortBindings: parsePortBindings(fields),
    RestartPolicy: parseRestartPolicy(fields),
    AutoRemove: fields.flag('AutoRemove'),
    VolumeDriver: fields.text('VolumeDriver'),
    VolumesFrom: fields.texts('VolumesFrom'),
    ConsoleSize: consoleSize(fields),
    ...(annotations !== null && Object.keys(annotations).length > 0 && { Annotations: annotations }),
    CapAdd: security.CapAdd,
    CapDrop: security.CapDrop,
    CgroupnsMode: modes.CgroupnsMode,
    Dns: fields.texts('Dns'),
    DnsOptions: fields.texts('DnsOptions'),
    DnsSearch: fields.texts('DnsSearch'),
    ExtraHosts: checkExtraHosts(fields.texts('ExtraHosts')),
    GroupAdd: security.GroupAdd,
    IpcMode: modes.IpcMode,
    Cgroup: modes.Cgroup,
    Links: fields.texts('Links'),
    OomScoreAdj: score,
    PidMode: modes.PidMode,
    Privileged: security.Privileged,
    PublishAllPorts: fields.flag('PublishAllPorts'),
    ReadonlyRootfs: security.ReadonlyRootfs,
    SecurityOpt: security.SecurityOpt,
    ...(storage !== null && Object.keys(storage).length > 0 && { StorageOpt: storage }),
    ...(tmpfs !== null && Object.keys(tmpfs).length > 0 && { Tmpfs: tmpfs }),
    UTSMode: modes.UTSMode,
    UsernsMode: modes.UsernsMode,
    ShmSize: shm === 0 ? (settings.defaults?.shmSizeBytes ?? DEFAULT_SHM_BYTES) : shm,
    ...(sysctls !== null && Object.keys(sysctls).length > 0 && { Sysctls: sysctls }),
    Runtime: parseRuntime(fields, settings),
    Isolation: modes.Isolation,
    ...resources,
    Ulimits: ulimits,
    Devices: parseDevices(fields),
    DeviceCgroupRules: fields.texts('DeviceCgroupRules'),
    DeviceRequests: deviceRequests(fields),
    ...(mounts !== null && mounts.length > 0 && { Mounts: mounts }),
    MaskedPaths: security.MaskedPaths,
    ReadonlyPaths: security.ReadonlyPaths,
    ...(init !== null && { Init: init }),
  };
}

function deviceRequests(fields: Fields): readonly object[] | null {
  const list = fields.raw('DeviceRequests');
  if (list === undefined) return null;
  if (!Array.isArray(list)) throw wrongType(list, '.HostConfig.DeviceRequests', '[]container.DeviceRequest');
  return list.filter(isJsonObject);
}
