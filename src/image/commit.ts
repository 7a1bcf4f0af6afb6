import { EngineError } from '#base/errors.ts';
import { noSuchImage } from '#api/messages.ts';
import { chainIds } from '#oci/chain-id.ts';
import { parseDigest, type Digest } from '#oci/digest.ts';
import type { HistoryEntry, ImageConfig } from '#oci/image-config.ts';
import type { CommitRequest } from './commit-request.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import { encodeImageConfig, type NewHistory } from './encode-config.ts';
import { registerImage, withLease } from './register.ts';
import { nowText, setTag } from './tag.ts';

/** Of an archive without members: such a layer is left out, its history stays. */
const EMPTY_LAYER = parseDigest('sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef');

function historyOf(entry: HistoryEntry): NewHistory {
  return {
    created: entry.created,
    ...(entry.createdBy !== '' && { created_by: entry.createdBy }),
    ...(entry.author !== '' && { author: entry.author }),
    ...(entry.comment !== '' && { comment: entry.comment }),
    ...(entry.emptyLayer && { empty_layer: true }),
  };
}

function configOf(
  deps: ImageDeps,
  of: { readonly parent: ImageConfig; readonly request: CommitRequest; readonly diffId: Digest | null },
): Buffer {
  const { parent, request, diffId } = of;
  const created = nowText(deps);
  const { author, comment, createdBy } = request;
  return encodeImageConfig({
    created,
    author,
    comment: '',
    dockerVersion: deps.engineVersion,
    platform: {
      os: parent.os,
      architecture: parent.architecture,
      ...(parent.variant !== '' && { variant: parent.variant }),
    },
    osVersion: parent.osVersion,
    osFeatures: parent.osFeatures,
    defaults: request.defaults,
    diffIds: diffId === null ? parent.diffIds : [...parent.diffIds, diffId],
    history: [
      ...parent.history.map(historyOf),
      historyOf({ created, createdBy, author, comment, emptyLayer: diffId === null }),
    ],
  });
}

/** Makes an image of a parent and a new layer. Returns its id. Errors: `notFound` without the parent. */
export async function commitImage(deps: ImageDeps, request: CommitRequest): Promise<Digest> {
  return withLease(deps, async (lease) => {
    const parent = deps.store.get(request.parent);
    const record = deps.store.record(request.parent);
    if (parent === null || record === null)
      throw new EngineError('notFound', noSuchImage(request.parent), {
        hint: 'The image of the container was removed; what is in it can be exported still.',
      });
    const blobs = record.layers.map((layer) => layer.blob);
    lease.hold(request.parent, ...chainIds(parent.config.diffIds), ...blobs);
    const layer = await request.layer(lease);
    const diffId = layer.digest === EMPTY_LAYER ? null : layer.digest;
    const config = configOf(deps, { parent: parent.config, request, diffId });
    const id = await registerImage(deps, {
      config,
      layerBlobs: diffId === null ? blobs : [...blobs, diffId],
      parent: request.parent,
      lease,
    });
    const { target } = request;
    if (target !== null) await deps.mutex.run(IMAGE_LOCK, () => setTag(deps, target, id));
    return id;
  });
}
