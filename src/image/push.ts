import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { digestNotPushable, noTagsToPush, notLocal, tagMissing } from '#api/messages.ts';
import type { Digest } from '#oci/digest.ts';
import { familiarName, familiarReference, repositoryName, type Reference } from '#oci/reference.ts';
import type { Repository } from '#registry/client.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { PushOptions } from './image-service.ts';
import { stepLine } from './progress-bar.ts';
import { layerId } from './pull/pull-progress.ts';
import { keptManifest, type KeptManifest } from './push/kept-manifest.ts';
import { pushBytes, pushLayer, type PushContext } from './push/push-layer.ts';
import { encodeManifest, type SentLayer } from './push/push-plan.ts';
import { keepReferrer } from './push/push-referrer.ts';
import { withLease } from './register.ts';
import { resolveImage } from './resolve.ts';
import type { ImageRecord } from './store/image-records.ts';
import { nowText } from './tag.ts';

interface LocalName {
  readonly reference: Reference;
  readonly id: Digest;
}

/** Names of the repository that are here, in their order. */
function localNames(deps: ImageDeps, repository: Reference): readonly LocalName[] {
  const wanted = repositoryName(repository);
  return deps.store
    .ids()
    .flatMap((id) => deps.store.referencesOf(id).map((reference) => ({ reference, id })))
    .filter(({ reference }) => repositoryName(reference) === wanted)
    .sort((a, b) => (familiarReference(a.reference) < familiarReference(b.reference) ? -1 : 1));
}

function namesToPush(deps: ImageDeps, reference: Reference): readonly LocalName[] {
  const names = localNames(deps, reference);
  if (names.length === 0) throw new EngineError('notFound', notLocal(familiarName(reference)));
  if (reference.tag !== null) {
    const id = deps.store.lookup({ ...reference, digest: null });
    if (id === null) throw new EngineError('notFound', tagMissing(familiarReference(reference)));
    return [{ reference: { ...reference, digest: null }, id }];
  }
  if (reference.digest !== null) throw new EngineError('invalidArgument', digestNotPushable());
  const tagged = names.filter((name) => name.reference.tag !== null);
  if (tagged.length === 0) throw new EngineError('notFound', noTagsToPush(familiarName(reference)));
  return tagged;
}

/** All layers, some at once. The first failure ends the others, and nothing goes on when it is told. */
async function pushLayers(
  context: PushContext,
  record: ImageRecord,
  kept: KeptManifest | null,
): Promise<readonly SentLayer[]> {
  const topFirst = [...record.layers.entries()].reverse();
  for (const [, { diffId }] of topFirst) context.onProgress(stepLine(layerId(diffId), 'Preparing'));
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const started = new Map<Digest, Promise<SentLayer>>();
  for (const [i, layer] of topFirst) {
    if (started.has(layer.diffId)) continue;
    const pushing = pushLayer({ ...context, signal }, layer, kept?.layers[i] ?? null);
    pushing.catch((error: unknown) => failed.abort(error));
    started.set(layer.diffId, pushing);
  }
  await Promise.allSettled(started.values());
  context.signal.throwIfAborted();
  failed.signal.throwIfAborted();
  return Promise.all(record.layers.map(({ diffId }) => started.get(diffId) as Promise<SentLayer>));
}

/** The digest stands for the image in that repository from now on. */
async function nameDigest(deps: ImageDeps, name: LocalName, digest: Digest): Promise<void> {
  const precise: Reference = { ...name.reference, tag: null, digest };
  await deps.mutex.run(IMAGE_LOCK, async () => {
    if (deps.store.has(name.id) && deps.store.lookup(precise) === null)
      await deps.store.tag(precise, name.id, nowText(deps));
  });
}

async function pushTag(
  deps: ImageDeps,
  name: LocalName,
  how: { readonly repository: Repository; readonly options: PushOptions },
): Promise<void> {
  const { repository, options } = how;
  const { signal, onProgress } = options;
  const { reference, id } = name;
  await withLease(deps, async (lease) => {
    const record = deps.store.record(id);
    if (record === null) throw new EngineError('notFound', tagMissing(familiarReference(reference)));
    lease.hold(id, ...record.layers.map(({ blob }) => blob));
    const config = await deps.storage.content.readAll(id, LIMITS.imageConfigBytes);
    const kept = await keptManifest(deps, record, lease);
    const context = { deps, repository, reference, lease, signal, onProgress };
    const layers = await pushLayers(context, record, kept);
    const configBlob = { digest: id, sizeBytes: config.length };
    await pushBytes(context, config, configBlob);
    const manifest = kept?.manifest ?? encodeManifest(configBlob, layers);
    const { bytes } = manifest;
    signal.throwIfAborted();
    const tag = reference.tag ?? '';
    const { digest, isListed } = await repository.putManifest(tag, manifest);
    if (!isListed) await keepReferrer(context, manifest, digest);
    onProgress({ status: `${tag}: digest: ${digest} size: ${bytes.length}` });
    await nameDigest(deps, name, digest);
    onProgress({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: bytes.length } });
  });
}

/**
 * Sends an image, or every tag of a repository, to its registry. Errors: `notFound` for a platform the image
 * does not have, before anything is reported; everything else after the first line.
 */
export async function pushImages(deps: ImageDeps, reference: Reference, options: PushOptions): Promise<void> {
  if (options.platform !== undefined)
    resolveImage(deps.store, familiarReference(reference), options.platform);
  const name = repositoryName(reference);
  options.onProgress({ status: `The push refers to repository [${name}]` });
  const names = namesToPush(deps, reference);
  const { domain, path } = reference;
  const { credentials, signal } = options;
  const use = { actions: 'pull,push', credentials, signal } as const;
  const repository = deps.registry.repository({ domain, path }, use);
  await repository.ping();
  for (const each of names) await pushTag(deps, each, { repository, options });
  const [first] = names;
  const labels = first === undefined ? null : deps.store.get(first.id)?.config.defaults.labels;
  deps.onEvent({ action: 'push', id: familiarName(reference), attributes: { ...labels, name } });
}
