/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { ClusterVolumeSpec } from './generated-volume.ts';

/** `GET /volumes` */
export interface VolumeListQuery {
  readonly filters?: string;
}

/** `PUT /volumes/{name}` */
export interface VolumeUpdateQuery {
  readonly version: number;
}

export interface VolumeUpdateBody {
  readonly Spec?: ClusterVolumeSpec;
}

/** `DELETE /volumes/{name}` */
export interface VolumeDeleteQuery {
  readonly force?: boolean;
}

/** `POST /volumes/prune` */
export interface VolumePruneQuery {
  readonly filters?: string;
}

export interface VolumePruneReply {
  readonly VolumesDeleted?: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}
