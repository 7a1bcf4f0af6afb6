import type { Digest } from '#oci/digest.ts';

/*
 * What the engine knows about images beyond the reference: answers of `/gantry/v1`. Field names are those of
 * the API.
 */

export interface ExplainedLayer {
  readonly DiffID: string;
  readonly ChainID: string;
  /** The archive as it came, and how many bytes it takes. */
  readonly Blob: string;
  readonly BlobSize: number;
  /** Of its files. */
  readonly Size: number;
  /** The step of the image's history that made it. */
  readonly CreatedBy: string;
  readonly Created: string;
  readonly Comment: string;
  /** Files, and bytes in files that a layer above removes or replaces; null where that is not known. */
  readonly Files: number | null;
  readonly WastedBytes: number | null;
  readonly WastedFiles: readonly { readonly Path: string; readonly Size: number }[];
  /** Names, or short ids, of the other images that have it. */
  readonly SharedWith: readonly string[];
}

export interface ImageExplanation {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly Size: number;
  /** Of layers that no other image has: what removing it frees. */
  readonly UniqueSize: number;
  readonly WastedBytes: number | null;
  /** Base first. */
  readonly Layers: readonly ExplainedLayer[];
  readonly Containers: readonly { readonly Id: string; readonly Running: boolean }[];
  /** Images that were made from it here. */
  readonly Children: readonly string[];
}

export interface ConfigDifference {
  /** `Env`, `Cmd`, … as inspect has them. */
  readonly Field: string;
  readonly Before: unknown;
  readonly After: unknown;
}

export interface FileDifference {
  readonly Path: string;
  /** 0 changed, 1 added, 2 removed. */
  readonly Kind: 0 | 1 | 2;
  readonly Size: number;
}

export interface ImageDifference {
  readonly Before: { readonly Id: string; readonly Size: number };
  readonly After: { readonly Id: string; readonly Size: number };
  /** Layers that both have, from the base on. */
  readonly SharedLayers: number;
  readonly Config: readonly ConfigDifference[];
  readonly Files: readonly FileDifference[] | null;
}

export interface PrunePlan {
  /** In the order in which they would go. */
  readonly Images: readonly {
    readonly Id: Digest;
    readonly Names: readonly string[];
    readonly Size: number;
  }[];
  /** By chainID: those that nothing else needs. */
  readonly Layers: readonly string[];
  readonly SpaceReclaimed: number;
}

/** `layer`: unpacked here; `blob`: its archive is here; `partial`: begun; `missing`. */
export interface PlannedLayer {
  readonly Digest: string;
  readonly Size: number;
  readonly State: 'layer' | 'blob' | 'partial' | 'missing';
  readonly HaveBytes: number;
}

export interface PullPlan {
  readonly Reference: string;
  readonly Digest: string;
  readonly ImageId: string;
  readonly Platform: string;
  readonly UpToDate: boolean;
  readonly Layers: readonly PlannedLayer[];
  readonly DownloadBytes: number;
}
