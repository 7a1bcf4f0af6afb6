/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { Volume } from './generated-volume.ts';
import type { ImageSummary } from './generated-image.ts';
import type { ContainerSummary } from './generated-container.ts';
import type { BuildCache } from './generated-system.ts';

export interface SystemAuthReply {
  readonly Status: string;
  readonly IdentityToken?: string;
}

/** `GET /events` */
export interface SystemEventsQuery {
  readonly since?: string;
  readonly until?: string;
  readonly filters?: string;
}

/** `GET /system/df` */
export interface SystemDataUsageQuery {
  readonly type?: readonly string[];
}

export interface SystemDataUsageReply {
  readonly LayersSize?: number;
  readonly Images?: readonly ImageSummary[] | null;
  readonly Containers?: readonly ContainerSummary[] | null;
  readonly Volumes?: readonly Volume[] | null;
  readonly BuildCache?: readonly BuildCache[] | null;
}
