/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { EndpointSettings } from './generated-network.ts';
import type { ContainerConfig, DriverData, OCIDescriptor } from './generated-image.ts';
import type { OneOf } from './one-of.ts';

export interface Address {
  readonly Addr?: string;
  readonly PrefixLen?: number;
}

export type ChangeType = 0 | 1 | 2;

export interface ContainerBlkioStatEntry {
  readonly major?: number;
  readonly minor?: number;
  readonly op?: string;
  readonly value?: number;
}

export interface ContainerBlkioStats {
  readonly io_service_bytes_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly io_serviced_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly io_queue_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly io_service_time_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly io_wait_time_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly io_merged_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly io_time_recursive?: readonly ContainerBlkioStatEntry[] | null;
  readonly sectors_recursive?: readonly ContainerBlkioStatEntry[] | null;
}

export interface ContainerCPUStats {
  readonly cpu_usage?: ContainerCPUUsage;
  readonly system_cpu_usage?: number | null;
  readonly online_cpus?: number | null;
  readonly throttling_data?: ContainerThrottlingData;
}

export interface ContainerCPUUsage {
  readonly total_usage?: number;
  readonly percpu_usage?: readonly number[] | null;
  readonly usage_in_kernelmode?: number;
  readonly usage_in_usermode?: number;
}

export interface ContainerCreateResponse {
  readonly Id: string;
  readonly Warnings: readonly string[] | null;
}

export interface ContainerInspectResponse {
  readonly Id?: string;
  readonly Created?: string | null;
  readonly Path?: string;
  readonly Args?: readonly string[] | null;
  readonly State?: ContainerState;
  readonly Image?: string;
  readonly ResolvConfPath?: string;
  readonly HostnamePath?: string;
  readonly HostsPath?: string;
  readonly LogPath?: string | null;
  readonly Name?: string;
  readonly RestartCount?: number;
  readonly Driver?: string;
  readonly Platform?: string;
  readonly ImageManifestDescriptor?: OCIDescriptor;
  readonly MountLabel?: string;
  readonly ProcessLabel?: string;
  readonly AppArmorProfile?: string;
  readonly ExecIDs?: readonly string[] | null;
  readonly HostConfig?: HostConfig;
  readonly GraphDriver?: DriverData;
  readonly SizeRw?: number | null;
  readonly SizeRootFs?: number | null;
  readonly Mounts?: readonly MountPoint[] | null;
  readonly Config?: ContainerConfig;
  readonly NetworkSettings?: NetworkSettings;
}

export interface ContainerMemoryStats {
  readonly usage?: number | null;
  readonly max_usage?: number | null;
  readonly stats?: Readonly<Record<string, number | null>> | null;
  readonly failcnt?: number | null;
  readonly limit?: number | null;
  readonly commitbytes?: number | null;
  readonly commitpeakbytes?: number | null;
  readonly privateworkingset?: number | null;
}

export interface ContainerPidsStats {
  readonly current?: number | null;
  readonly limit?: number | null;
}

export interface ContainerState {
  readonly Status?: OneOf<'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'>;
  readonly Running?: boolean;
  readonly Paused?: boolean;
  readonly Restarting?: boolean;
  readonly OOMKilled?: boolean;
  readonly Dead?: boolean;
  readonly Pid?: number;
  readonly ExitCode?: number;
  readonly Error?: string;
  readonly StartedAt?: string;
  readonly FinishedAt?: string;
  readonly Health?: Health;
}

export interface ContainerStatsResponse {
  readonly name?: string | null;
  readonly id?: string | null;
  readonly read?: string;
  readonly preread?: string;
  readonly pids_stats?: ContainerPidsStats;
  readonly blkio_stats?: ContainerBlkioStats;
  readonly num_procs?: number;
  readonly storage_stats?: ContainerStorageStats;
  readonly cpu_stats?: ContainerCPUStats;
  readonly precpu_stats?: ContainerCPUStats;
  readonly memory_stats?: ContainerMemoryStats;
  readonly networks?: unknown | null;
}

export interface ContainerStorageStats {
  readonly read_count_normalized?: number | null;
  readonly read_size_bytes?: number | null;
  readonly write_count_normalized?: number | null;
  readonly write_size_bytes?: number | null;
}

export interface ContainerSummary {
  readonly Id?: string;
  readonly Names?: readonly string[] | null;
  readonly Image?: string;
  readonly ImageID?: string;
  readonly ImageManifestDescriptor?: OCIDescriptor;
  readonly Command?: string;
  readonly Created?: number;
  readonly Ports?: readonly Port[] | null;
  readonly SizeRw?: number | null;
  readonly SizeRootFs?: number | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly State?: OneOf<'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'removing' | 'dead'>;
  readonly Status?: string;
  readonly HostConfig?: {
    readonly NetworkMode?: string;
    readonly Annotations?: Readonly<Record<string, string>> | null;
  };
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, EndpointSettings>> | null;
  };
  readonly Mounts?: readonly MountPoint[] | null;
}

export interface ContainerThrottlingData {
  readonly periods?: number;
  readonly throttled_periods?: number;
  readonly throttled_time?: number;
}

export interface ContainerTopResponse {
  readonly Titles?: readonly string[] | null;
  readonly Processes?: readonly (readonly string[])[] | null;
}

export interface ContainerUpdateResponse {
  readonly Warnings?: readonly string[] | null;
}

export interface ContainerWaitExitError {
  readonly Message?: string;
}

export interface ContainerWaitResponse {
  readonly StatusCode: number;
  readonly Error?: ContainerWaitExitError;
}

export interface DeviceMapping {
  readonly PathOnHost?: string;
  readonly PathInContainer?: string;
  readonly CgroupPermissions?: string;
}

export interface DeviceRequest {
  readonly Driver?: string;
  readonly Count?: number;
  readonly DeviceIDs?: readonly string[] | null;
  readonly Capabilities?: readonly (readonly string[])[] | null;
  readonly Options?: Readonly<Record<string, string>> | null;
}

export interface FilesystemChange {
  readonly Path: string;
  readonly Kind: ChangeType;
}

export interface Health {
  readonly Status?: OneOf<'none' | 'starting' | 'healthy' | 'unhealthy'>;
  readonly FailingStreak?: number;
  readonly Log?: readonly HealthcheckResult[] | null;
}

export interface HealthcheckResult {
  readonly Start?: string;
  readonly End?: string;
  readonly ExitCode?: number;
  readonly Output?: string;
}

export type HostConfig = Resources & {
  readonly Binds?: readonly string[] | null;
  readonly ContainerIDFile?: string;
  readonly LogConfig?: {
    readonly Type?: OneOf<
      | 'local'
      | 'json-file'
      | 'syslog'
      | 'journald'
      | 'gelf'
      | 'fluentd'
      | 'awslogs'
      | 'splunk'
      | 'etwlogs'
      | 'none'
    >;
    readonly Config?: Readonly<Record<string, string>> | null;
  };
  readonly NetworkMode?: string;
  readonly PortBindings?: PortMap;
  readonly RestartPolicy?: RestartPolicy;
  readonly AutoRemove?: boolean;
  readonly VolumeDriver?: string;
  readonly VolumesFrom?: readonly string[] | null;
  readonly Mounts?: readonly Mount[] | null;
  readonly ConsoleSize?: readonly number[] | null;
  readonly Annotations?: Readonly<Record<string, string>> | null;
  readonly CapAdd?: readonly string[] | null;
  readonly CapDrop?: readonly string[] | null;
  readonly CgroupnsMode?: OneOf<'private' | 'host'>;
  readonly Dns?: readonly string[] | null;
  readonly DnsOptions?: readonly string[] | null;
  readonly DnsSearch?: readonly string[] | null;
  readonly ExtraHosts?: readonly string[] | null;
  readonly GroupAdd?: readonly string[] | null;
  readonly IpcMode?: string;
  readonly Cgroup?: string;
  readonly Links?: readonly string[] | null;
  readonly OomScoreAdj?: number;
  readonly PidMode?: string;
  readonly Privileged?: boolean;
  readonly PublishAllPorts?: boolean;
  readonly ReadonlyRootfs?: boolean;
  readonly SecurityOpt?: readonly string[] | null;
  readonly StorageOpt?: Readonly<Record<string, string>> | null;
  readonly Tmpfs?: Readonly<Record<string, string>> | null;
  readonly UTSMode?: string;
  readonly UsernsMode?: string;
  readonly ShmSize?: number;
  readonly Sysctls?: Readonly<Record<string, string>> | null;
  readonly Runtime?: string | null;
  readonly Isolation?: OneOf<'default' | 'process' | 'hyperv' | ''>;
  readonly MaskedPaths?: readonly string[] | null;
  readonly ReadonlyPaths?: readonly string[] | null;
};

export interface Mount {
  readonly Target?: string;
  readonly Source?: string;
  readonly Type?: OneOf<'bind' | 'volume' | 'image' | 'tmpfs' | 'npipe' | 'cluster'>;
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: {
    readonly Propagation?: OneOf<'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave'>;
    readonly NonRecursive?: boolean;
    readonly CreateMountpoint?: boolean;
    readonly ReadOnlyNonRecursive?: boolean;
    readonly ReadOnlyForceRecursive?: boolean;
  };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly DriverConfig?: {
      readonly Name?: string;
      readonly Options?: Readonly<Record<string, string>> | null;
    };
    readonly Subpath?: string;
  };
  readonly ImageOptions?: {
    readonly Subpath?: string;
  };
  readonly TmpfsOptions?: {
    readonly SizeBytes?: number;
    readonly Mode?: number;
    readonly Options?: readonly (readonly string[])[] | null;
  };
}

export interface MountPoint {
  readonly Type?: OneOf<'bind' | 'volume' | 'image' | 'tmpfs' | 'npipe' | 'cluster'>;
  readonly Name?: string;
  readonly Source?: string;
  readonly Destination?: string;
  readonly Driver?: string;
  readonly Mode?: string;
  readonly RW?: boolean;
  readonly Propagation?: string;
}

export interface NetworkSettings {
  readonly Bridge?: string;
  readonly SandboxID?: string;
  readonly HairpinMode?: boolean;
  readonly LinkLocalIPv6Address?: string;
  readonly LinkLocalIPv6PrefixLen?: number;
  readonly Ports?: PortMap;
  readonly SandboxKey?: string;
  readonly SecondaryIPAddresses?: readonly Address[] | null;
  readonly SecondaryIPv6Addresses?: readonly Address[] | null;
  readonly EndpointID?: string;
  readonly Gateway?: string;
  readonly GlobalIPv6Address?: string;
  readonly GlobalIPv6PrefixLen?: number;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly IPv6Gateway?: string;
  readonly MacAddress?: string;
  readonly Networks?: Readonly<Record<string, EndpointSettings>> | null;
}

export interface NetworkingConfig {
  readonly EndpointsConfig?: Readonly<Record<string, EndpointSettings>> | null;
}

export interface Port {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: OneOf<'tcp' | 'udp' | 'sctp'>;
}

export interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface Resources {
  readonly CpuShares?: number;
  readonly Memory?: number;
  readonly CgroupParent?: string;
  readonly BlkioWeight?: number;
  readonly BlkioWeightDevice?:
    | readonly {
        readonly Path?: string;
        readonly Weight?: number;
      }[]
    | null;
  readonly BlkioDeviceReadBps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceWriteBps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceReadIOps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceWriteIOps?: readonly ThrottleDevice[] | null;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpuRealtimePeriod?: number;
  readonly CpuRealtimeRuntime?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly Devices?: readonly DeviceMapping[] | null;
  readonly DeviceCgroupRules?: readonly string[] | null;
  readonly DeviceRequests?: readonly DeviceRequest[] | null;
  readonly KernelMemoryTCP?: number;
  readonly MemoryReservation?: number;
  readonly MemorySwap?: number;
  readonly MemorySwappiness?: number;
  readonly NanoCpus?: number;
  readonly OomKillDisable?: boolean;
  readonly Init?: boolean | null;
  readonly PidsLimit?: number | null;
  readonly Ulimits?:
    | readonly {
        readonly Name?: string;
        readonly Soft?: number;
        readonly Hard?: number;
      }[]
    | null;
  readonly CpuCount?: number;
  readonly CpuPercent?: number;
  readonly IOMaximumIOps?: number;
  readonly IOMaximumBandwidth?: number;
}

export interface RestartPolicy {
  readonly Name?: OneOf<'' | 'no' | 'always' | 'unless-stopped' | 'on-failure'>;
  readonly MaximumRetryCount?: number;
}

export interface ThrottleDevice {
  readonly Path?: string;
  readonly Rate?: number;
}
