/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { OneOf } from './one-of.ts';

export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  readonly AttachStdin?: boolean;
  /** Default: true. */
  readonly AttachStdout?: boolean;
  /** Default: true. */
  readonly AttachStderr?: boolean;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly Tty?: boolean;
  readonly OpenStdin?: boolean;
  readonly StdinOnce?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Healthcheck?: HealthConfig;
  readonly ArgsEscaped?: boolean | null;
  readonly Image?: string;
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly NetworkDisabled?: boolean | null;
  readonly MacAddress?: string | null;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string | null;
  /** Default: 10. */
  readonly StopTimeout?: number | null;
  readonly Shell?: readonly string[] | null;
}

export interface DistributionInspect {
  readonly Descriptor: OCIDescriptor;
  readonly Platforms: readonly OCIPlatform[] | null;
}

export interface DriverData {
  readonly Name: string;
  readonly Data: Readonly<Record<string, string>> | null;
}

export interface HealthConfig {
  readonly Test?: readonly string[] | null;
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly Retries?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
}

export interface ImageConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Healthcheck?: HealthConfig;
  readonly ArgsEscaped?: boolean | null;
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string | null;
  readonly Shell?: readonly string[] | null;
}

export interface ImageDeleteResponseItem {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

export interface ImageInspect {
  readonly Id?: string;
  readonly Descriptor?: OCIDescriptor;
  readonly Manifests?: readonly ImageManifestSummary[] | null;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  readonly Parent?: string;
  readonly Comment?: string;
  readonly Created?: string | null;
  readonly DockerVersion?: string;
  readonly Author?: string;
  readonly Config?: ImageConfig;
  readonly Architecture?: string;
  readonly Variant?: string | null;
  readonly Os?: string;
  readonly OsVersion?: string | null;
  readonly Size?: number;
  readonly GraphDriver?: DriverData;
  readonly RootFS?: {
    readonly Type: string;
    readonly Layers?: readonly string[] | null;
  };
  readonly Metadata?: {
    readonly LastTagTime?: string | null;
  };
}

export interface ImageManifestSummary {
  readonly ID: string;
  readonly Descriptor: OCIDescriptor;
  readonly Available: boolean;
  readonly Size: {
    readonly Total: number;
    readonly Content: number;
  };
  readonly Kind: OneOf<'image' | 'attestation' | 'unknown'>;
  readonly ImageData?: {
    readonly Platform: OCIPlatform;
    readonly Containers: readonly string[] | null;
    readonly Size: {
      readonly Unpacked: number;
    };
  } | null;
  readonly AttestationData?: {
    readonly For: string;
  } | null;
}

export interface ImageSummary {
  readonly Id: string;
  readonly ParentId: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Containers: number;
  readonly Manifests?: readonly ImageManifestSummary[] | null;
  readonly Descriptor?: OCIDescriptor;
}

export interface OCIDescriptor {
  readonly mediaType?: string;
  readonly digest?: string;
  readonly size?: number;
  readonly urls?: readonly string[] | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly data?: string | null;
  readonly platform?: OCIPlatform;
  readonly artifactType?: string | null;
}

export interface OCIPlatform {
  readonly architecture?: string;
  readonly os?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[] | null;
  readonly variant?: string;
}
