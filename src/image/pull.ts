import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { platformMismatch } from '#api/messages.ts';
import type { Digest } from '#oci/digest.ts';
import { configPlatform, formatPlatform, type Platform } from '#oci/platform.ts';
import {
  familiarName,
  familiarReference,
  formatReference,
  repositoryName,
  withDefaultTag,
  type Reference,
} from '#oci/reference.ts';
import { BadDigest } from '#oci/manifest.ts';
import type { Repository } from '#registry/client.ts';
import type { Lease } from '#storage/lease.ts';
import type { ImageDeps } from './deps.ts';
import type { PullOptions } from './image-service.ts';
import { fetchLayers } from './pull/fetch-layers.ts';
import { isInterruption } from './pull/layer-download.ts';
import { isOtherManifest, manifestError } from './pull/pull-errors.ts';
import { keepDocuments, nameImage, recordImage } from './pull/record-image.ts';
import { resolveImageIn, resolveRoot, type RemoteImage } from './pull/resolve-manifest.ts';
import { withLease } from './register.ts';

interface Pull {
  readonly deps: ImageDeps;
  readonly repository: Repository;
  readonly options: PullOptions;
}

/** Everything that the image is made of is held from before anybody looks whether it is here. */
function holdImage(image: RemoteImage, lease: Lease): readonly string[] {
  const names = [
    image.id,
    image.manifest.digest,
    ...(image.index === null ? [] : [image.index.digest]),
    ...image.manifest.content.layers.map(({ digest }) => digest),
    ...image.chain,
  ];
  lease.hold(...names);
  return names;
}

/**
 * Layers, documents and the record; false when the image was here. What an interrupted one has brought is
 * kept for the next try.
 */
async function bringImage(pull: Pull, image: RemoteImage, lease: Lease): Promise<boolean> {
  const { deps, repository, options } = pull;
  const { signal, onProgress } = options;
  const { unfinished, clock, fetches } = deps;
  const { digest } = image.manifest;
  const names = holdImage(image, lease);
  if (deps.store.has(image.id)) {
    await keepDocuments(deps, image, lease);
    await recordImage(deps, image);
    return false;
  }
  await unfinished.begin({ manifest: digest, names, startedMs: clock.nowMs() });
  let how: 'keep' | 'forget' = 'forget';
  try {
    await keepDocuments(deps, image, lease);
    await fetchLayers({ storage: deps.storage, fetches }, { repository, image, signal, onProgress });
    await recordImage(deps, image);
    return true;
  } catch (error) {
    if (isInterruption(error, signal)) how = 'keep';
    throw error;
  } finally {
    await unfinished.end(digest, how);
  }
}

interface Pulled {
  readonly id: Digest;
  /** The name stands for something new now. */
  readonly isNew: boolean;
  readonly name: Reference;
  /** What it is for where that is another platform than the one that was asked for. */
  readonly otherPlatform: Platform | null;
}

async function pullOne(pull: Pull, reference: Reference): Promise<Pulled> {
  const { deps, repository, options } = pull;
  const { signal, onProgress, platform } = options;
  const source = { repository, content: deps.storage.content, host: deps.platform };
  const id = reference.digest === null ? (reference.tag ?? '') : familiarReference(reference);
  const begin = (): void => onProgress({ status: `Pulling from ${reference.path}`, id });
  const root = await resolveRoot(source, reference).catch((error: unknown) => {
    if (error instanceof BadDigest) begin();
    if (!isOtherManifest(error)) throw error;
    begin();
    throw new EngineError('invalidArgument', error.reason, { cause: error });
  });
  signal.throwIfAborted();
  begin();
  return withLease(deps, async (lease) => {
    const image = await resolveImageIn(source, root, platform);
    signal.throwIfAborted();
    // As with the reference, nothing is learnt about where layers are from an image that was here.
    const layers = (await bringImage(pull, image, lease)) ? image.manifest.content.layers : [];
    for (const { digest } of layers) await deps.notes.isIn(digest, repositoryName(reference));
    onProgress({ status: `Digest: ${root.digest}` });
    const isNew = await nameImage(deps, { reference, digest: root.digest, image });
    const otherPlatform = image.fits ? null : configPlatform(image.config);
    return { id: image.id, isNew, name: reference, otherPlatform };
  });
}

async function allTags({ repository, options }: Pull, reference: Reference): Promise<readonly string[]> {
  const tags: string[] = [];
  try {
    for await (const tag of repository.tags(options.signal)) tags.push(tag);
  } catch (error) {
    throw manifestError(error, reference);
  }
  return tags;
}

/** See `ImageService.pull`. */
export async function pullImage(deps: ImageDeps, asked: Reference, options: PullOptions): Promise<void> {
  const calm = deps.storage.hurry();
  try {
    await pullNamed(deps, asked, options);
  } finally {
    calm();
  }
}

async function pullNamed(deps: ImageDeps, asked: Reference, options: PullOptions): Promise<void> {
  const { credentials, all = false, onProgress } = options;
  const repository = deps.registry.repository(asked, {
    actions: 'pull',
    credentials,
    signal: options.signal,
  });
  const pull: Pull = { deps, repository, options };
  await repository.ping();
  const references = all
    ? (await allTags(pull, asked)).map((tag) => ({ ...asked, tag, digest: null }))
    : [preciseReference(asked)];
  const name = all ? familiarName(asked) : familiarReference(preciseReference(asked));
  const pulled: Pulled[] = [];
  try {
    for (const reference of references) pulled.push(await pullOne(pull, reference));
  } finally {
    await expirePartials(deps);
  }
  const isNew = pulled.some((each) => each.isNew);
  onProgress({ status: `Status: ${isNew ? 'Downloaded newer image' : 'Image is up to date'} for ${name}` });
  warnOfPlatform(pull, asked, pulled);
  const [first] = pulled;
  const labels = first === undefined ? null : deps.store.get(first.id)?.config.defaults.labels;
  deps.onEvent({ action: 'pull', id: name, attributes: { ...labels, name: familiarName(asked) } });
}

/**
 * A single image is taken whatever it is for, with a warning, which as with the reference looks at `latest`
 * where every tag was pulled.
 */
function warnOfPlatform({ options }: Pull, asked: Reference, pulled: readonly Pulled[]): void {
  const { all = false, platform, onProgress } = options;
  const found = pulled.find(({ name }) => !all || name.tag === 'latest');
  if (platform === undefined || found === undefined || found.otherPlatform === null) return;
  const text = platformMismatch({
    name: all ? repositoryName(asked) : formatReference(found.name),
    actual: formatPlatform(found.otherPlatform),
    wanted: formatPlatform(platform),
  });
  onProgress({ status: `WARNING: ${text}` });
}

/** A digest says it all: a tag beside it would be a claim that nobody has checked. */
export function preciseReference(asked: Reference): Reference {
  return asked.digest === null ? withDefaultTag(asked) : { ...asked, tag: null };
}

/** What nobody has gone on with for so long goes. */
export async function expirePartials(
  deps: Pick<ImageDeps, 'storage' | 'unfinished' | 'clock'>,
  keepMs: number = LIMITS.partialKeepMs,
): Promise<void> {
  const nowMs = deps.clock.nowMs();
  await deps.unfinished.forgetOlder(keepMs, nowMs);
  await deps.storage.intakes.expire(deps.unfinished.roots(), nowMs);
}
