/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { ContainerConfig } from './generated-image.ts';
import type {
  ContainerSummary,
  FilesystemChange,
  HostConfig,
  NetworkingConfig,
  Resources,
  RestartPolicy,
} from './generated-container.ts';

/** `GET /containers/json` */
export interface ContainerListQuery {
  readonly all?: boolean;
  readonly limit?: number;
  readonly size?: boolean;
  readonly filters?: string;
}

export type ContainerListReply = readonly ContainerSummary[];

/** `POST /containers/create` */
export interface ContainerCreateQuery {
  readonly name?: string;
  readonly platform?: string;
}

export type ContainerCreateBody = ContainerConfig & {
  readonly HostConfig?: HostConfig;
  readonly NetworkingConfig?: NetworkingConfig;
};

/** `GET /containers/{id}/json` */
export interface ContainerInspectQuery {
  readonly size?: boolean;
}

/** `GET /containers/{id}/top` */
export interface ContainerTopQuery {
  /** Default: "-ef". */
  readonly ps_args?: string;
}

/** `GET /containers/{id}/logs` */
export interface ContainerLogsQuery {
  readonly follow?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** Default: 0. */
  readonly since?: number;
  /** Default: 0. */
  readonly until?: number;
  readonly timestamps?: boolean;
  /** Default: "all". */
  readonly tail?: string;
}

export type ContainerChangesReply = readonly FilesystemChange[];

/** `GET /containers/{id}/stats` */
export interface ContainerStatsQuery {
  /** Default: true. */
  readonly stream?: boolean;
  readonly 'one-shot'?: boolean;
}

/** `POST /containers/{id}/resize` */
export interface ContainerResizeQuery {
  readonly h: number;
  readonly w: number;
}

/** `POST /containers/{id}/start` */
export interface ContainerStartQuery {
  readonly detachKeys?: string;
}

/** `POST /containers/{id}/stop` */
export interface ContainerStopQuery {
  readonly signal?: string;
  readonly t?: number;
}

/** `POST /containers/{id}/restart` */
export interface ContainerRestartQuery {
  readonly signal?: string;
  readonly t?: number;
}

/** `POST /containers/{id}/kill` */
export interface ContainerKillQuery {
  /** Default: "SIGKILL". */
  readonly signal?: string;
}

export type ContainerUpdateBody = Resources & {
  readonly RestartPolicy?: RestartPolicy;
};

/** `POST /containers/{id}/rename` */
export interface ContainerRenameQuery {
  readonly name: string;
}

/** `POST /containers/{id}/attach` */
export interface ContainerAttachQuery {
  readonly detachKeys?: string;
  readonly logs?: boolean;
  readonly stream?: boolean;
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
}

/** `GET /containers/{id}/attach/ws` */
export interface ContainerAttachWebsocketQuery {
  readonly detachKeys?: string;
  readonly logs?: boolean;
  readonly stream?: boolean;
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
}

/** `POST /containers/{id}/wait` */
export interface ContainerWaitQuery {
  /** Default: "not-running". */
  readonly condition?: string;
}

/** `DELETE /containers/{id}` */
export interface ContainerDeleteQuery {
  readonly v?: boolean;
  readonly force?: boolean;
  readonly link?: boolean;
}

/** `HEAD /containers/{id}/archive` */
export interface ContainerArchiveInfoQuery {
  readonly path: string;
}

/** `GET /containers/{id}/archive` */
export interface ContainerArchiveQuery {
  readonly path: string;
}

/** `PUT /containers/{id}/archive` */
export interface PutContainerArchiveQuery {
  readonly path: string;
  readonly noOverwriteDirNonDir?: string;
  readonly copyUIDGID?: string;
}

/** `POST /containers/prune` */
export interface ContainerPruneQuery {
  readonly filters?: string;
}

export interface ContainerPruneReply {
  readonly ContainersDeleted?: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}
