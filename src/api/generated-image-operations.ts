/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { ImageDeleteResponseItem, ImageSummary } from './generated-image.ts';

/** `GET /images/json` */
export interface ImageListQuery {
  readonly all?: boolean;
  readonly filters?: string;
  readonly 'shared-size'?: boolean;
  readonly digests?: boolean;
  readonly manifests?: boolean;
}

export type ImageListReply = readonly ImageSummary[];

/** `POST /build` */
export interface ImageBuildQuery {
  /** Default: "Dockerfile". */
  readonly dockerfile?: string;
  readonly t?: string;
  readonly extrahosts?: string;
  readonly remote?: string;
  readonly q?: boolean;
  readonly nocache?: boolean;
  readonly cachefrom?: string;
  readonly pull?: string;
  /** Default: true. */
  readonly rm?: boolean;
  readonly forcerm?: boolean;
  readonly memory?: number;
  readonly memswap?: number;
  readonly cpushares?: number;
  readonly cpusetcpus?: string;
  readonly cpuperiod?: number;
  readonly cpuquota?: number;
  readonly buildargs?: string;
  readonly shmsize?: number;
  readonly squash?: boolean;
  readonly labels?: string;
  readonly networkmode?: string;
  readonly platform?: string;
  readonly target?: string;
  readonly outputs?: string;
  /** Default: "1". */
  readonly version?: string;
}

/** `POST /build/prune` */
export interface BuildPruneQuery {
  readonly 'keep-storage'?: number;
  readonly 'reserved-space'?: number;
  readonly 'max-used-space'?: number;
  readonly 'min-free-space'?: number;
  readonly all?: boolean;
  readonly filters?: string;
}

export interface BuildPruneReply {
  readonly CachesDeleted?: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}

/** `POST /images/create` */
export interface ImageCreateQuery {
  readonly fromImage?: string;
  readonly fromSrc?: string;
  readonly repo?: string;
  readonly tag?: string;
  readonly message?: string;
  readonly changes?: readonly string[];
  readonly platform?: string;
}

/** `GET /images/{name}/json` */
export interface ImageInspectQuery {
  readonly manifests?: boolean;
}

/** `GET /images/{name}/history` */
export interface ImageHistoryQuery {
  readonly platform?: string;
}

export type ImageHistoryReply = readonly {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[] | null;
  readonly Size: number;
  readonly Comment: string;
}[];

/** `POST /images/{name}/push` */
export interface ImagePushQuery {
  readonly tag?: string;
  readonly platform?: string;
}

/** `POST /images/{name}/tag` */
export interface ImageTagQuery {
  readonly repo?: string;
  readonly tag?: string;
}

/** `DELETE /images/{name}` */
export interface ImageDeleteQuery {
  readonly force?: boolean;
  readonly noprune?: boolean;
  readonly platforms?: readonly string[];
}

export type ImageDeleteReply = readonly ImageDeleteResponseItem[];

/** `GET /images/search` */
export interface ImageSearchQuery {
  readonly term: string;
  readonly limit?: number;
  readonly filters?: string;
}

export type ImageSearchReply = readonly {
  readonly description?: string;
  readonly is_official?: boolean;
  readonly is_automated?: boolean;
  readonly name?: string;
  readonly star_count?: number;
}[];

/** `POST /images/prune` */
export interface ImagePruneQuery {
  readonly filters?: string;
}

export interface ImagePruneReply {
  readonly ImagesDeleted?: readonly ImageDeleteResponseItem[] | null;
  readonly SpaceReclaimed?: number;
}

/** `POST /commit` */
export interface ImageCommitQuery {
  readonly container?: string;
  readonly repo?: string;
  readonly tag?: string;
  readonly comment?: string;
  readonly author?: string;
  /** Default: true. */
  readonly pause?: boolean;
  readonly changes?: string;
}

/** `GET /images/{name}/get` */
export interface ImageGetQuery {
  readonly platform?: string;
}

/** `GET /images/get` */
export interface ImageGetAllQuery {
  readonly names?: readonly string[];
  readonly platform?: string;
}

/** `POST /images/load` */
export interface ImageLoadQuery {
  readonly quiet?: boolean;
  readonly platform?: string;
}
