/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { ConfigReference, EndpointSettings, IPAM, Network } from './generated-network.ts';

/** `GET /networks` */
export interface NetworkListQuery {
  readonly filters?: string;
}

export type NetworkListReply = readonly Network[];

/** `GET /networks/{id}` */
export interface NetworkInspectQuery {
  readonly verbose?: boolean;
  readonly scope?: string;
}

export interface NetworkCreateBody {
  readonly Name: string;
  /** Default: "bridge". */
  readonly Driver?: string;
  readonly Scope?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: ConfigReference;
  readonly IPAM?: IPAM;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

export interface NetworkConnectBody {
  readonly Container?: string;
  readonly EndpointConfig?: EndpointSettings;
}

export interface NetworkDisconnectBody {
  readonly Container?: string;
  readonly Force?: boolean;
}

/** `POST /networks/prune` */
export interface NetworkPruneQuery {
  readonly filters?: string;
}

export interface NetworkPruneReply {
  readonly NetworksDeleted?: readonly string[] | null;
}
