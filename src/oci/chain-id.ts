import type { Branded } from '#base/ids.ts';
import { digestOf, type Digest } from './digest.ts';

/**
 * Identity of a layer together with everything below it (OCI image-spec, config.md). Has the form of a
 * digest.
 */
export type ChainId = Branded<'ChainId'>;

export function chainIdOf(parent: ChainId | null, diffId: Digest): ChainId {
  const text: string = parent === null ? diffId : digestOf(`${parent} ${diffId}`);
  return text as ChainId;
}

/** ChainIDs of a stack of layers, base first. */
export function chainIds(diffIds: readonly Digest[]): ChainId[] {
  const result: ChainId[] = [];
  let parent: ChainId | null = null;
  for (const diffId of diffIds) {
    parent = chainIdOf(parent, diffId);
    result.push(parent);
  }
  return result;
}
