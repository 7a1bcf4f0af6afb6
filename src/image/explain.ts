import { shortId } from '#base/ids.ts';
import type { ExplainedLayer, ImageExplanation } from '#api/gantry-images.ts';
import type { ChainId } from '#oci/chain-id.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import type { HistoryEntry } from '#oci/image-config.ts';
import type { ImageDeps } from './deps.ts';
import type { Image } from './image-service.ts';
import { resolveImage } from './resolve.ts';

export function displayName(image: Pick<Image, 'id' | 'repoTags'>): string {
  return image.repoTags[0] ?? shortId(digestHex(image.id));
}

/** Which images have each layer. */
function holders(deps: Pick<ImageDeps, 'store'>): Map<ChainId, Digest[]> {
  const result = new Map<ChainId, Digest[]>();
  for (const id of deps.store.ids())
    for (const chainId of deps.store.chain(id)) result.set(chainId, [...(result.get(chainId) ?? []), id]);
  return result;
}

/** The steps of the history that made layers, base first. */
function madeLayers(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  return history.filter((entry) => !entry.emptyLayer);
}

async function blobBytes(deps: ImageDeps, blob: Digest): Promise<number> {
  return deps.storage.content.stat(blob).then(
    ({ sizeBytes }) => sizeBytes,
    () => 0,
  );
}

/** Why each layer is there, what it stores in vain, and who uses it. Errors: `notFound`, `invalidArgument`. */
export async function explainImage(deps: ImageDeps, nameOrId: string): Promise<ImageExplanation> {
  const image = resolveImage(deps.store, nameOrId);
  const { snapshotter, trees } = deps.storage;
  const contents = await trees.contents(image.chainId);
  const steps = madeLayers(image.config.history);
  const shared = holders(deps);
  const nameOf = (id: Digest): string => displayName(deps.store.get(id) ?? { id, repoTags: [] });
  const layers = await Promise.all(
    deps.store.chain(image.id).map(async (chainId, index): Promise<ExplainedLayer> => {
      const layer = snapshotter.layer(chainId);
      const content = contents?.[index] ?? null;
      const step = steps[index];
      return {
        DiffID: image.config.diffIds[index] ?? '',
        ChainID: chainId,
        Blob: layer?.blob ?? '',
        BlobSize: layer === null ? 0 : await blobBytes(deps, layer.blob),
        Size: layer?.sizeBytes ?? 0,
        CreatedBy: step?.createdBy ?? '',
        Created: step?.created ?? '',
        Comment: step?.comment ?? '',
        Files: content?.files ?? null,
        WastedBytes: content?.wastedBytes ?? null,
        WastedFiles: (content?.wastedFiles ?? []).map(({ path, sizeBytes }) => ({
          Path: path,
          Size: sizeBytes,
        })),
        SharedWith: (shared.get(chainId) ?? []).filter((id) => id !== image.id).map(nameOf),
      };
    }),
  );
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    Size: image.sizeBytes,
    UniqueSize: sum(layers.filter((layer) => layer.SharedWith.length === 0).map((layer) => layer.Size)),
    WastedBytes: contents === null ? null : sum(contents.map((content) => content.wastedBytes)),
    Layers: layers,
    Containers: deps.users
      .containersUsing(image.id)
      .map(({ containerId, running }) => ({ Id: containerId, Running: running })),
    Children: deps.store.children(image.id).map(nameOf),
  };
}
