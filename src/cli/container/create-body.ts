import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { JsonObject } from '#base/json.ts';
import { type FlagValues, UsageError } from '../flags.ts';
import { parseCpus, parseDuration, parsePairs, parseSize } from '../values.ts';
import { parseMount } from './mount-flags.ts';
import { parsePorts } from './port-flags.ts';

export interface CreateRequest {
  readonly name: string;
  readonly platform: string;
  readonly body: JsonObject;
}

export interface CreateInput {
  readonly flags: FlagValues;
  readonly image: string;
  readonly command: readonly string[];
  /** The caller's environment: `-e NAME` takes its value from there. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

function environmentOf(input: CreateInput): string[] {
  const { flags, environment } = input;
  const files = flags.list('env-file').flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trimStart())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
  return [...files, ...flags.list('env')].flatMap((item) => {
    if (item.startsWith('='))
      throw new UsageError(
        `invalid argument "${item}" for "-e, --env" flag: invalid environment variable: ${item}`,
      );
    if (item.includes('=')) return [item];
    const value = environment[item];
    return value === undefined ? [] : [`${item}=${value}`];
  });
}

function labelsOf(flags: FlagValues): Record<string, string> {
  const lines = flags.list('label-file').flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
  return parsePairs([...lines, ...flags.list('label')]);
}

function restartPolicy(text: string): { Name: string; MaximumRetryCount: number } {
  const [name = '', count] = text.split(':');
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw new UsageError('invalid restart policy format: maximum retry count must be an integer');
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

/** `/host`, `/host:/container[:rwm]` */
function device(text: string): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  const [host = '', second, third] = text.split(':');
  const isMode = second !== undefined && third === undefined && /^[rwm]+$/.test(second);
  return {
    PathOnHost: host,
    PathInContainer: isMode ? host : (second ?? host),
    CgroupPermissions: (isMode ? second : third) ?? 'rwm',
  };
}

function capability(text: string): string {
  const name = text.toUpperCase();
  return name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`;
}

/** `all`, or how many. */
function deviceRequests(flags: FlagValues): JsonObject[] {
  return flags
    .list('gpus')
    .map((text) => ({ Count: text === 'all' ? -1 : Number(text), Capabilities: [['gpu']] }));
}

/** What `--ip`, `--ip6` and `--network-alias` ask of the networks. */
function endpoints(flags: FlagValues): JsonObject {
  const networks = [...flags.list('network'), ...flags.list('net')];
  const names = networks.length > 0 ? networks : ['default'];
  const [v4, v6] = [flags.text('ip'), flags.text('ip6')];
  const aliases = [...flags.list('network-alias'), ...flags.list('net-alias')];
  const isPlain = v4 === '' && v6 === '' && aliases.length === 0;
  if (isPlain && names.length === 1) return {};
  const settings = {
    ...((v4 !== '' || v6 !== '') && {
      IPAMConfig: { ...(v4 !== '' && { IPv4Address: v4 }), ...(v6 !== '' && { IPv6Address: v6 }) },
    }),
    ...(aliases.length > 0 && { Aliases: aliases }),
  };
  const first = names[0] ?? 'default';
  const named = names.map((name) => [name, name === first ? settings : {}] as const);
  return { NetworkingConfig: { EndpointsConfig: Object.fromEntries(named) } };
}

function ulimit(text: string): { Name: string; Soft: number; Hard: number } {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null)
    throw new UsageError(
      `invalid argument ${JSON.stringify(text)} for "--ulimit" flag: invalid ulimit argument: ${text}`,
    );
  return { Name: match[1] ?? '', Soft: Number(match[2]), Hard: Number(match[3] ?? match[2]) };
}

/** A path on this machine that begins with a dot is meant from here. */
function bind(text: string): string {
  return /^\.{1,2}(\/|:)/.test(text) ? text.replace(/^[^:]+/, (path) => resolve(path)) : text;
}

function resources(flags: FlagValues): JsonObject {
  const size = (flag: string, shown = `--${flag}`): number =>
    flags.has(flag) ? parseSize({ flag: shown, value: flags.text(flag) }) : 0;
  return {
    Memory: size('memory', '-m, --memory'),
    MemorySwap: size('memory-swap'),
    MemoryReservation: size('memory-reservation'),
    MemorySwappiness: flags.has('memory-swappiness') ? flags.int('memory-swappiness') : -1,
    NanoCpus: flags.has('cpus') ? parseCpus({ flag: '--cpus', value: flags.text('cpus') }) : 0,
    CpuShares: flags.int('cpu-shares'),
    CpuPeriod: flags.int('cpu-period'),
    CpuQuota: flags.int('cpu-quota'),
    CpusetCpus: flags.text('cpuset-cpus'),
    CpusetMems: flags.text('cpuset-mems'),
    PidsLimit: flags.int('pids-limit'),
    BlkioWeight: flags.int('blkio-weight'),
    OomKillDisable: flags.bool('oom-kill-disable'),
    OomScoreAdj: flags.int('oom-score-adj'),
    Devices: flags.list('device').map(device),
    DeviceCgroupRules: [...flags.list('device-cgroup-rule')],
    Ulimits: flags.list('ulimit').map(ulimit),
    DeviceRequests: deviceRequests(flags),
    ShmSize: size('shm-size'),
  };
}

function securityOptions(flags: FlagValues): string[] {
  return flags.list('security-opt').map((option) => {
    const at = option.search(/[=:]/);
    if (at < 0 && option !== 'no-new-privileges')
      throw new UsageError(`Invalid --security-opt: ${JSON.stringify(option)}`);
    const value = option.slice(at + 1);
    if (!option.startsWith('seccomp') || ['unconfined', 'builtin'].includes(value)) return option;
    return `seccomp=${JSON.stringify(JSON.parse(readFileSync(value, 'utf8')))}`;
  });
}

function hostConfig(flags: FlagValues): JsonObject {
  const network = flags.list('network')[0] ?? flags.list('net')[0] ?? 'default';
  const tmpfs = Object.fromEntries(
    flags
      .list('tmpfs')
      .map((text) => [text.split(':')[0] ?? '', text.includes(':') ? text.slice(text.indexOf(':') + 1) : '']),
  );
  const ports = parsePorts(flags.list('publish'), []);
  return {
    ...resources(flags),
    Binds: flags
      .list('volume')
      .filter((v) => v.includes(':'))
      .map(bind),
    Mounts: flags.list('mount').map((value) => ({ ...parseMount(value) })) as JsonObject[],
    ...(Object.keys(tmpfs).length > 0 && { Tmpfs: tmpfs }),
    VolumesFrom: [...flags.list('volumes-from')],
    VolumeDriver: flags.text('volume-driver'),
    NetworkMode: network,
    PortBindings: ports.bindings as unknown as JsonObject,
    PublishAllPorts: flags.bool('publish-all'),
    Links: [...flags.list('link')],
    AutoRemove: flags.bool('rm'),
    RestartPolicy: restartPolicy(flags.text('restart')),
    CapAdd: flags.list('cap-add').map(capability).toSorted(),
    CapDrop: flags.list('cap-drop').map(capability).toSorted(),
    Privileged: flags.bool('privileged'),
    ReadonlyRootfs: flags.bool('read-only'),
    SecurityOpt: securityOptions(flags),
    GroupAdd: [...flags.list('group-add')],
    Dns: [...flags.list('dns')],
    DnsSearch: [...flags.list('dns-search')],
    DnsOptions: [...flags.list('dns-option'), ...flags.list('dns-opt')],
    ExtraHosts: [...flags.list('add-host')],
    IpcMode: flags.text('ipc'),
    PidMode: flags.text('pid'),
    UTSMode: flags.text('uts'),
    UsernsMode: flags.text('userns'),
    CgroupnsMode: flags.text('cgroupns'),
    CgroupParent: flags.text('cgroup-parent'),
    Runtime: flags.text('runtime'),
    Isolation: flags.text('isolation'),
    Sysctls: parsePairs(flags.list('sysctl')),
    Annotations: parsePairs(flags.list('annotation')),
    LogConfig: { Type: flags.text('log-driver'), Config: parsePairs(flags.list('log-opt')) },
    StorageOpt: parsePairs(flags.list('storage-opt')),
    ...(flags.has('init') && { Init: flags.bool('init') }),
  };
}

function healthcheck(flags: FlagValues): JsonObject | null {
  if (flags.bool('no-healthcheck')) return { Test: ['NONE'] };
  if (!flags.has('health-cmd')) return null;
  const duration = (flag: string): number =>
    flags.has(flag) ? parseDuration({ flag: `--${flag}`, value: flags.text(flag) }) : 0;
  return {
    Test: ['CMD-SHELL', flags.text('health-cmd')],
    Interval: duration('health-interval'),
    Timeout: duration('health-timeout'),
    StartPeriod: duration('health-start-period'),
    StartInterval: duration('health-start-interval'),
    Retries: flags.int('health-retries'),
  };
}

/** Which streams the command line wants: none when detached; input only with -i. */
function streams(flags: FlagValues): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const named = flags.list('attach').map((name) => name.toLowerCase());
  for (const name of named) {
    if (!['stdin', 'stdout', 'stderr'].includes(name)) {
      throw new UsageError(
        `invalid argument "${name}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
      );
    }
  }
  const detached = flags.has('detach') && flags.bool('detach');
  if (named.length > 0)
    return {
      stdin: named.includes('stdin'),
      stdout: named.includes('stdout'),
      stderr: named.includes('stderr'),
    };
  return { stdin: !detached && flags.bool('interactive'), stdout: !detached, stderr: !detached };
}

/**
 * The flags of run and create as the API's create request. Reads the files that flags name; otherwise pure.
 */
export function createRequest(input: CreateInput): CreateRequest {
  const { flags, image, command } = input;
  const wanted = streams(flags);
  const ports = parsePorts(flags.list('publish'), flags.list('expose'));
  const volumes = Object.fromEntries(
    flags
      .list('volume')
      .filter((v) => !v.includes(':'))
      .map((v) => [v, {}]),
  );
  const health = healthcheck(flags);
  const body: JsonObject = {
    Hostname: flags.text('hostname'),
    Domainname: flags.text('domainname'),
    User: flags.text('user'),
    AttachStdin: wanted.stdin,
    AttachStdout: wanted.stdout,
    AttachStderr: wanted.stderr,
    Tty: flags.bool('tty'),
    OpenStdin: flags.bool('interactive'),
    StdinOnce: flags.bool('interactive') && wanted.stdin,
    Env: environmentOf(input),
    Cmd: command.length > 0 ? [...command] : null,
    Image: image,
    Volumes: volumes,
    WorkingDir: flags.text('workdir'),
    Entrypoint: flags.has('entrypoint') ? [flags.text('entrypoint')] : null,
    Labels: labelsOf(flags),
    ExposedPorts: ports.exposed,
    ...(flags.has('stop-signal') && { StopSignal: flags.text('stop-signal') }),
    ...(flags.has('stop-timeout') && { StopTimeout: flags.int('stop-timeout') }),
    ...(health !== null && { Healthcheck: health }),
    ...(flags.has('mac-address') && { MacAddress: flags.text('mac-address') }),
    HostConfig: hostConfig(flags),
    ...endpoints(flags),
  };
  return { name: flags.text('name'), platform: flags.text('platform'), body };
}
