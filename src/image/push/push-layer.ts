import { Readable } from 'node:stream';
import { EngineError } from '#base/errors.ts';
import { repositoryName, type Reference } from '#oci/reference.ts';
import type { Repository } from '#registry/client.ts';
import { RegistryError } from '#registry/errors.ts';
import type { Lease } from '#storage/lease.ts';
import type { ImageDeps } from '../deps.ts';
import type { ImageProgress } from '../image-service.ts';
import { layerId, LayerProgress } from '../pull/pull-progress.ts';
import { stepLine } from '../progress-bar.ts';
import type { LayerSource } from '../store/image-records.ts';
import { mountSources, type SentBlob, type SentLayer } from './push-plan.ts';
import { sendableLayer } from './sendable.ts';

/** One push of one tag: where it goes, and who is told. */
export interface PushContext {
  readonly deps: ImageDeps;
  readonly repository: Repository;
  readonly reference: Reference;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly onProgress: (line: ImageProgress) => void;
}

/** Clients know the reason alone, without the request in front of it. */
function layerError(error: unknown): unknown {
  if (!(error instanceof RegistryError) || error.reason === error.message) return error;
  return new EngineError(error.kind, error.reason, { cause: error });
}

/** Waits for a turn, and says so when it is not there at once. */
async function takeTurn(context: PushContext, id: string): Promise<() => void> {
  let isWaiting = true;
  const turn = context.deps.registry.uploads.take(context.signal).finally(() => {
    isWaiting = false;
  });
  await new Promise((resolve) => setImmediate(resolve));
  if (isWaiting) context.onProgress(stepLine(id, 'Waiting'));
  return turn;
}

/**
 * Brings a layer to the registry: by nothing, when it is there; from another repository of it; or byte for
 * byte as it is kept. `kept`: what the image's own manifest names; null: the layer's archive, compressed if
 * it must be.
 */
export async function pushLayer(
  context: PushContext,
  layer: LayerSource,
  kept: SentLayer | null,
): Promise<SentLayer> {
  const id = layerId(layer.diffId);
  const release = await takeTurn(context, id);
  try {
    const sent = kept ?? (await sendableLayer(context.deps, layer, context));
    context.signal.throwIfAborted();
    const how = await bring(context, layer, sent);
    await context.deps.notes.isIn(sent.digest, repositoryName(context.reference));
    context.onProgress(stepLine(id, how));
    return sent;
  } catch (error) {
    throw layerError(error);
  } finally {
    release();
  }
}

async function bring(context: PushContext, layer: LayerSource, sent: SentBlob): Promise<string> {
  const { repository, signal } = context;
  if (await repository.hasBlob(sent.digest)) return 'Layer already exists';
  signal.throwIfAborted();
  const source = await mounted(context, sent);
  if (source !== null) return `Mounted from ${source}`;
  signal.throwIfAborted();
  await send(context, layer, sent);
  return 'Pushed';
}

/** The repository that the registry took the blob from. */
async function mounted(context: PushContext, { digest }: SentBlob): Promise<string | null> {
  const { deps, repository, reference, signal } = context;
  for (const path of mountSources(deps.notes.of(digest).repositories, reference)) {
    try {
      if (await repository.mountBlob(digest, path)) return path;
    } catch (error) {
      // It may be read by others only: then it is sent.
      signal.throwIfAborted();
      if (!(error instanceof RegistryError) || error.status === 0) throw error;
    }
    await deps.notes.isNotIn(digest, `${reference.domain}/${path}`);
  }
  return null;
}

async function send(context: PushContext, layer: LayerSource, sent: SentBlob): Promise<void> {
  const { deps, repository, signal, onProgress } = context;
  const progress = new LayerProgress({ digest: layer.diffId, sizeBytes: sent.sizeBytes });
  progress.listen(onProgress);
  const open = async function* (offset: number): AsyncGenerator<Uint8Array> {
    let at = offset;
    for await (const chunk of deps.storage.content.openStream(sent.digest, offset)) {
      yield chunk as Buffer;
      at += (chunk as Buffer).length;
      progress.amount('Pushing', at);
    }
  };
  await repository.upload(sent, open, signal);
}

/** A small blob that is here whole. */
export async function pushBytes(context: PushContext, bytes: Buffer, blob: SentBlob): Promise<void> {
  const { repository, signal } = context;
  if (await repository.hasBlob(blob.digest)) return;
  signal.throwIfAborted();
  await repository.upload(blob, (offset) => Readable.from([bytes.subarray(offset)]), signal);
}
