import type { WhiteoutMode } from './apply-layer.ts';
import type { LayerRecord } from './layer-records.ts';

/** Where a snapshotter wants a layer written. */
export interface StagedTree {
  readonly target: string;
  readonly whiteouts: WhiteoutMode;
}

/** How a snapshotter keeps trees of layers. */
export interface LayerTrees {
  /** A tree is written without a look at what is below. False: it begins as a copy of that. */
  readonly standAlone: boolean;
  /** A fresh place, invisible until published; `name` is the caller's choice. */
  stage(name: string, parent: LayerRecord | null): Promise<StagedTree>;
  /** The directory of a staged tree. */
  target(name: string): string;
  /** Directories of a layer and all below it, top first. */
  below(parent: LayerRecord): readonly string[];
  /** Gives the staged tree its name; one that had it goes away. */
  publish(name: string, as: { readonly cacheId: string; readonly parent: LayerRecord | null }): Promise<void>;
  discard(name: string): Promise<void>;
  exists(cacheId: string): Promise<boolean>;
  remove(cacheId: string): Promise<void>;
}
