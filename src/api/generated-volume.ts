/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { OneOf } from './one-of.ts';

export interface ClusterVolume {
  readonly ID?: string;
  readonly Version?: ObjectVersion;
  readonly CreatedAt?: string;
  readonly UpdatedAt?: string;
  readonly Spec?: ClusterVolumeSpec;
  readonly Info?: {
    readonly CapacityBytes?: number;
    readonly VolumeContext?: Readonly<Record<string, string>> | null;
    readonly VolumeID?: string;
    readonly AccessibleTopology?: readonly Topology[] | null;
  };
  readonly PublishStatus?:
    | readonly {
        readonly NodeID?: string;
        readonly State?: OneOf<
          'pending-publish' | 'published' | 'pending-node-unpublish' | 'pending-controller-unpublish'
        >;
        readonly PublishContext?: Readonly<Record<string, string>> | null;
      }[]
    | null;
}

export interface ClusterVolumeSpec {
  readonly Group?: string;
  readonly AccessMode?: {
    /** Default: "single". */
    readonly Scope?: OneOf<'single' | 'multi'>;
    /** Default: "none". */
    readonly Sharing?: OneOf<'none' | 'readonly' | 'onewriter' | 'all'>;
    readonly MountVolume?: Readonly<Record<string, unknown>>;
    readonly Secrets?:
      | readonly {
          readonly Key?: string;
          readonly Secret?: string;
        }[]
      | null;
    readonly AccessibilityRequirements?: {
      readonly Requisite?: readonly Topology[] | null;
      readonly Preferred?: readonly Topology[] | null;
    };
    readonly CapacityRange?: {
      readonly RequiredBytes?: number;
      readonly LimitBytes?: number;
    };
    /** Default: "active". */
    readonly Availability?: OneOf<'active' | 'pause' | 'drain'>;
  };
}

export interface ObjectVersion {
  readonly Index?: number;
}

export type Topology = Readonly<Record<string, string>>;

export interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly CreatedAt?: string;
  readonly Status?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly Labels: Readonly<Record<string, string>> | null;
  /** Default: "local". */
  readonly Scope: OneOf<'local' | 'global'>;
  readonly ClusterVolume?: ClusterVolume;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly UsageData?: {
    /** Default: -1. */
    readonly Size: number;
    /** Default: -1. */
    readonly RefCount: number;
  } | null;
}

export interface VolumeCreateOptions {
  readonly Name?: string;
  /** Default: "local". */
  readonly Driver?: string;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly ClusterVolumeSpec?: ClusterVolumeSpec;
}

export interface VolumeListResponse {
  readonly Volumes?: readonly Volume[] | null;
  readonly Warnings?: readonly string[] | null;
}
