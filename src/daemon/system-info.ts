import { readdirSync } from 'node:fs';
import { nowNanos, rfc3339Nano } from '#base/clock.ts';
import type { JsonObject, JsonValue } from '#base/json.ts';
import { API_VERSION, MIN_API_VERSION } from '#api/version.ts';
import type { ContainerService } from '#container/container-service.ts';
import type { Kernel } from '#host/kernel.ts';
import type { ImageService } from '#image/image-service.ts';
import type { NetworkService } from '#network/service.ts';
import type { Runtimes, RuntimeVersion } from '#runtime/runtimes.ts';
import type { Storage } from '#storage/storage.ts';
import type { VolumeView } from '#volume/model.ts';
import type { VolumeService } from '#volume/service.ts';
import type { DaemonConfig } from './config.ts';
import { registryInfo, shownProxy } from './config/registries.ts';
import { findInit } from './config/supported.ts';
import type { LiveSettings } from './live-settings.ts';
import { ENGINE_VERSION, GANTRY_VERSION, PLATFORM_NAME } from './product.ts';
import type { SystemBackend } from './server/backends.ts';

export interface SystemParts {
  readonly config: DaemonConfig;
  readonly kernel: Pick<Kernel, 'system' | 'cgroups' | 'files'>;
  readonly instance: string;
  readonly live: LiveSettings;
  /** Containers have user namespaces. */
  readonly remapsIds: boolean;
  readonly runtimes: Runtimes;
  readonly runtimeVersion: () => Promise<RuntimeVersion>;
  readonly listeners: () => number;
  readonly containers: ContainerService;
  readonly images: ImageService;
  readonly networks: NetworkService;
  readonly volumes: VolumeService;
  readonly storage: Storage;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

async function versionReply({ kernel, runtimeVersion }: SystemParts): Promise<JsonObject> {
  const facts = kernel.system.facts();
  const arch = ARCHITECTURES[facts.machine] ?? facts.machine;
  const runc = await runtimeVersion();
  const engine = {
    ApiVersion: API_VERSION,
    Arch: arch,
    BuildTime: '',
    Experimental: 'false',
    GitCommit: '',
    GoVersion: '',
    KernelVersion: facts.kernelVersion,
    MinAPIVersion: MIN_API_VERSION,
    Os: 'linux',
  };
  return {
    Platform: { Name: PLATFORM_NAME },
    Components: [
      { Name: 'Engine', Version: ENGINE_VERSION, Details: engine },
      { Name: 'gantry', Version: GANTRY_VERSION, Details: { Node: process.versions.node } },
      { Name: 'runc', Version: runc.version, Details: { GitCommit: runc.commit } },
    ],
    Version: ENGINE_VERSION,
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: '',
  };
}

function securityOptions({ kernel, remapsIds }: SystemParts): string[] {
  const facts = kernel.system.facts();
  return [
    ...(facts.apparmor ? ['name=apparmor'] : []),
    ...(facts.seccomp ? ['name=seccomp,profile=builtin'] : []),
    ...(remapsIds ? ['name=userns'] : []),
    ...(facts.cgroupNamespaces && kernel.cgroups.version === 'v2' ? ['name=cgroupns'] : []),
  ];
}

function limits({ kernel }: SystemParts): JsonObject {
  const { controllers } = kernel.cgroups;
  const has = (name: string): boolean => controllers.includes(name);
  const v2 = kernel.cgroups.version === 'v2';
  return {
    MemoryLimit: has('memory'),
    SwapLimit:
      has('memory') && (v2 || kernel.cgroups.read('/', 'memory', 'memory.memsw.limit_in_bytes') !== null),
    CpuCfsPeriod: has('cpu'),
    CpuCfsQuota: has('cpu'),
    CPUShares: has('cpu'),
    CPUSet: has('cpuset'),
    PidsLimit: has('pids'),
    OomKillDisable: has('memory') && !v2,
  };
}

function driverStatus({ config, kernel }: SystemParts): JsonValue {
  const backing = ['Backing Filesystem', backingFileSystem(kernel, config.dataRoot)];
  if (config.storageDriver === 'vfs') return [backing];
  return [
    backing,
    ['Supports d_type', 'true'],
    ['Using metacopy', 'false'],
    ['Native Overlay Diff', 'true'],
    ['userxattr', 'false'],
  ];
}

function backingFileSystem(kernel: Pick<Kernel, 'files'>, path: string): string {
  const type = kernel.files.fileSystemType(path);
  return /^ext[234]$/.test(type) ? 'extfs' : type;
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function warnings(parts: SystemParts): string[] {
  const { ipv4 } = parts.networks.forwarding();
  return [
    ...(ipv4 ? [] : ['WARNING: IPv4 forwarding is disabled']),
    ...parts.networks.findings().map((finding) => `WARNING: ${finding.text}`),
  ];
}

function registries({ live }: SystemParts): JsonObject {
  const settings = live.now.registries;
  const { proxy } = settings;
  return {
    RegistryConfig: registryInfo(settings),
    HttpProxy: shownProxy(proxy.http),
    HttpsProxy: shownProxy(proxy.https),
    NoProxy: proxy.no,
  };
}

async function infoReply(parts: SystemParts): Promise<JsonObject> {
  const { config, kernel } = parts;
  const facts = kernel.system.facts();
  const counts = parts.containers.counts();
  const runc = await parts.runtimeVersion();
  return {
    ID: parts.instance,
    Containers: counts.total,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.stopped,
    Images: parts.images.count(),
    Driver: config.storageDriver,
    DriverStatus: driverStatus(parts),
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file', 'none'],
    },
    ...limits(parts),
    IPv4Forwarding: parts.networks.forwarding().ipv4,
    Debug: parts.live.now.debug,
    NFd: openDescriptors(),
    NGoroutines: 0,
    SystemTime: rfc3339Nano(nowNanos()),
    LoggingDriver: config.logDriver,
    CgroupDriver: 'cgroupfs',
    CgroupVersion: kernel.cgroups.version === 'v2' ? '2' : '1',
    NEventsListener: parts.listeners(),
    KernelVersion: facts.kernelVersion,
    OperatingSystem: facts.operatingSystem,
    OSVersion: facts.osVersion,
    OSType: 'linux',
    Architecture: facts.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    ...registries(parts),
    NCPU: facts.cpus,
    MemTotal: facts.memoryBytes,
    GenericResources: null,
    DockerRootDir: config.dataRoot,
    Name: facts.hostname,
    Labels: [...parts.live.now.labels],
    ExperimentalBuild: false,
    ServerVersion: ENGINE_VERSION,
    Runtimes: Object.fromEntries(
      parts.runtimes.names().map((name) => [name, { path: parts.runtimes.get(name).path }]),
    ),
    DefaultRuntime: config.defaultRuntime,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: findInit(config.initPath) ?? '',
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: runc.commit },
    InitCommit: { ID: '' },
    SecurityOptions: securityOptions(parts),
    CDISpecDirs: [],
    Warnings: warnings(parts),
  };
}

async function diskUsageReply(parts: SystemParts, types: readonly string[]): Promise<JsonObject> {
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const { images, containers, volumes, storage } = parts;
  const list = wants('image') ? await images.list({ all: true, sharedSize: true }) : [];
  const layers = storage.snapshotter.layers().reduce((sum, layer) => sum + layer.sizeBytes, 0);
  const everything = { all: true, size: true, limit: 0, filters: new Map<string, readonly string[]>() };
  const sized = async (one: VolumeView): Promise<JsonObject> => ({
    ...(plain(one) as JsonObject),
    UsageData: { RefCount: volumes.usedBy(one.Name).length, Size: await volumes.sizeBytes(one.Name) },
  });
  const plain = (value: unknown): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;
  return {
    LayersSize: wants('image') ? layers : 0,
    Images: wants('image') ? plain(list) : null,
    Containers: wants('container') ? [...(await containers.list(everything))] : null,
    Volumes: wants('volume') ? await Promise.all(volumes.list().map(sized)) : null,
    BuildCache: wants('build-cache') ? [] : null,
  };
}

export function createSystemBackend(parts: SystemParts): SystemBackend {
  return {
    version: () => versionReply(parts),
    info: () => infoReply(parts),
    diskUsage: (types) => diskUsageReply(parts, types),
  };
}
