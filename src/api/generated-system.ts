/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { ObjectVersion } from './generated-volume.ts';
import type { OneOf } from './one-of.ts';

export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  readonly email?: string;
  readonly serveraddress?: string;
}

export interface BuildCache {
  readonly ID?: string;
  readonly Parents?: readonly string[] | null;
  readonly Type?: OneOf<
    'internal' | 'frontend' | 'source.local' | 'source.git.checkout' | 'exec.cachemount' | 'regular'
  >;
  readonly Description?: string;
  readonly InUse?: boolean;
  readonly Shared?: boolean;
  readonly Size?: number;
  readonly CreatedAt?: string;
  readonly LastUsedAt?: string | null;
  readonly UsageCount?: number;
}

export interface ClusterInfo {
  readonly ID?: string;
  readonly Version?: ObjectVersion;
  readonly CreatedAt?: string;
  readonly UpdatedAt?: string;
  readonly Spec?: SwarmSpec;
  readonly TLSInfo?: TLSInfo;
  readonly RootRotationInProgress?: boolean;
  /** Default: 4789. */
  readonly DataPathPort?: number;
  readonly DefaultAddrPool?: readonly string[] | null;
  /** Default: 24. */
  readonly SubnetSize?: number;
}

export interface Commit {
  readonly ID?: string;
}

export interface ContainerdInfo {
  readonly Address?: string;
  readonly Namespaces?: {
    /** Default: "moby". */
    readonly Containers?: string;
    /** Default: "plugins.moby". */
    readonly Plugins?: string;
  };
}

export interface DeviceInfo {
  readonly Source?: string;
  readonly ID?: string;
}

export interface EventActor {
  readonly ID?: string;
  readonly Attributes?: Readonly<Record<string, string>> | null;
}

export interface EventMessage {
  readonly Type?: OneOf<
    | 'builder'
    | 'config'
    | 'container'
    | 'daemon'
    | 'image'
    | 'network'
    | 'node'
    | 'plugin'
    | 'secret'
    | 'service'
    | 'volume'
  >;
  readonly Action?: string;
  readonly Actor?: EventActor;
  readonly scope?: OneOf<'local' | 'swarm'>;
  readonly time?: number;
  readonly timeNano?: number;
}

export interface FirewallInfo {
  readonly Driver?: string;
  readonly Info?: readonly (readonly string[])[] | null;
}

export type GenericResources = readonly {
  readonly NamedResourceSpec?: {
    readonly Kind?: string;
    readonly Value?: string;
  };
  readonly DiscreteResourceSpec?: {
    readonly Kind?: string;
    readonly Value?: number;
  };
}[];

export interface IndexInfo {
  readonly Name?: string;
  readonly Mirrors?: readonly string[] | null;
  readonly Secure?: boolean;
  readonly Official?: boolean;
}

export type LocalNodeState = OneOf<'' | 'inactive' | 'pending' | 'active' | 'error' | 'locked'>;

export interface PeerNode {
  readonly NodeID?: string;
  readonly Addr?: string;
}

export interface PluginsInfo {
  readonly Volume?: readonly string[] | null;
  readonly Network?: readonly string[] | null;
  readonly Authorization?: readonly string[] | null;
  readonly Log?: readonly string[] | null;
}

export interface RegistryServiceConfig {
  readonly InsecureRegistryCIDRs?: readonly string[] | null;
  readonly IndexConfigs?: Readonly<Record<string, IndexInfo>> | null;
  readonly Mirrors?: readonly string[] | null;
}

export interface Runtime {
  readonly path?: string;
  readonly runtimeArgs?: readonly string[] | null;
  readonly status?: Readonly<Record<string, string>> | null;
}

export interface SwarmInfo {
  readonly NodeID?: string;
  readonly NodeAddr?: string;
  readonly LocalNodeState?: LocalNodeState;
  readonly ControlAvailable?: boolean;
  readonly Error?: string;
  readonly RemoteManagers?: readonly PeerNode[] | null;
  readonly Nodes?: number | null;
  readonly Managers?: number | null;
  readonly Cluster?: ClusterInfo;
}

export interface SwarmSpec {
  readonly Name?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Orchestration?: {
    readonly TaskHistoryRetentionLimit?: number;
  } | null;
  readonly Raft?: {
    readonly SnapshotInterval?: number;
    readonly KeepOldSnapshots?: number;
    readonly LogEntriesForSlowFollowers?: number;
    readonly ElectionTick?: number;
    readonly HeartbeatTick?: number;
  };
  readonly Dispatcher?: {
    readonly HeartbeatPeriod?: number;
  } | null;
  readonly CAConfig?: {
    readonly NodeCertExpiry?: number;
    readonly ExternalCAs?:
      | readonly {
          /** Default: "cfssl". */
          readonly Protocol?: OneOf<'cfssl'>;
          readonly URL?: string;
          readonly Options?: Readonly<Record<string, string>> | null;
          readonly CACert?: string;
        }[]
      | null;
    readonly SigningCACert?: string;
    readonly SigningCAKey?: string;
    readonly ForceRotate?: number;
  } | null;
  readonly EncryptionConfig?: {
    readonly AutoLockManagers?: boolean;
  };
  readonly TaskDefaults?: {
    readonly LogDriver?: {
      readonly Name?: string;
      readonly Options?: Readonly<Record<string, string>> | null;
    };
  };
}

export interface SystemInfo {
  readonly ID?: string;
  readonly Containers?: number;
  readonly ContainersRunning?: number;
  readonly ContainersPaused?: number;
  readonly ContainersStopped?: number;
  readonly Images?: number;
  readonly Driver?: string;
  readonly DriverStatus?: readonly (readonly string[])[] | null;
  readonly DockerRootDir?: string;
  readonly Plugins?: PluginsInfo;
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly KernelMemoryTCP?: boolean;
  readonly CpuCfsPeriod?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly CPUShares?: boolean;
  readonly CPUSet?: boolean;
  readonly PidsLimit?: boolean;
  readonly OomKillDisable?: boolean;
  readonly IPv4Forwarding?: boolean;
  readonly Debug?: boolean;
  readonly NFd?: number;
  readonly NGoroutines?: number;
  readonly SystemTime?: string;
  readonly LoggingDriver?: string;
  /** Default: "cgroupfs". */
  readonly CgroupDriver?: OneOf<'cgroupfs' | 'systemd' | 'none'>;
  /** Default: "1". */
  readonly CgroupVersion?: OneOf<'1' | '2'>;
  readonly NEventsListener?: number;
  readonly KernelVersion?: string;
  readonly OperatingSystem?: string;
  readonly OSVersion?: string;
  readonly OSType?: string;
  readonly Architecture?: string;
  readonly NCPU?: number;
  readonly MemTotal?: number;
  /** Default: "https://index.docker.io/v1/". */
  readonly IndexServerAddress?: string;
  readonly RegistryConfig?: RegistryServiceConfig;
  readonly GenericResources?: GenericResources;
  readonly HttpProxy?: string;
  readonly HttpsProxy?: string;
  readonly NoProxy?: string;
  readonly Name?: string;
  readonly Labels?: readonly string[] | null;
  readonly ExperimentalBuild?: boolean;
  readonly ServerVersion?: string;
  readonly Runtimes?: Readonly<Record<string, Runtime>> | null;
  /** Default: "runc". */
  readonly DefaultRuntime?: string;
  readonly Swarm?: SwarmInfo;
  readonly LiveRestoreEnabled?: boolean;
  /** Default: "default". */
  readonly Isolation?: OneOf<'default' | 'hyperv' | 'process' | ''>;
  readonly InitBinary?: string;
  readonly ContainerdCommit?: Commit;
  readonly RuncCommit?: Commit;
  readonly InitCommit?: Commit;
  readonly SecurityOptions?: readonly string[] | null;
  readonly ProductLicense?: string;
  readonly DefaultAddressPools?:
    | readonly {
        readonly Base?: string;
        readonly Size?: number;
      }[]
    | null;
  readonly FirewallBackend?: FirewallInfo;
  readonly DiscoveredDevices?: readonly DeviceInfo[] | null;
  readonly Warnings?: readonly string[] | null;
  readonly CDISpecDirs?: readonly string[] | null;
  readonly Containerd?: ContainerdInfo;
}

export interface SystemVersion {
  readonly Platform?: {
    readonly Name: string;
  };
  readonly Components?:
    | readonly {
        readonly Name: string;
        readonly Version: string;
        readonly Details?: Readonly<Record<string, unknown>> | null;
      }[]
    | null;
  readonly Version?: string;
  readonly ApiVersion?: string;
  readonly MinAPIVersion?: string;
  readonly GitCommit?: string;
  readonly GoVersion?: string;
  readonly Os?: string;
  readonly Arch?: string;
  readonly KernelVersion?: string;
  readonly Experimental?: boolean;
  readonly BuildTime?: string;
}

export interface TLSInfo {
  readonly TrustRoot?: string;
  readonly CertIssuerSubject?: string;
  readonly CertIssuerPublicKey?: string;
}
