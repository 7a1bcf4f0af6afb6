import { EngineError } from '#base/errors.ts';
import { shortId } from '#base/ids.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import {
  familiarReference,
  parseReference,
  repositoryName,
  withDefaultTag,
  type Reference,
} from '#oci/reference.ts';
import { collectLocked } from './collect.ts';
import { IMAGE_LOCK, publish, type ImageDeps } from './deps.ts';
import type { Image, RemovedImage, RemoveOptions } from './image-service.ts';
import { resolveImage } from './resolve.ts';

interface Removal {
  readonly deps: ImageDeps;
  readonly force: boolean;
  readonly prune: boolean;
  readonly removed: RemovedImage[];
}

interface Conflict {
  readonly hard: boolean;
  /** A container uses the image. */
  readonly used: boolean;
  readonly message: string;
}

const short = (id: Digest): string => shortId(digestHex(id));

function isIdPrefix(id: Digest, text: string): boolean {
  const prefix = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  return prefix !== '' && digestHex(id).startsWith(prefix);
}

/** One tag at most, and everything in one repository. */
function isSingleReference(references: readonly Reference[]): boolean {
  if (references.length <= 1) return references.length === 1;
  const tagged = references.filter((reference) => reference.digest === null);
  if (tagged.length > 1) return false;
  const repositories = new Set(references.filter((each) => each.digest !== null).map(repositoryName));
  const single = tagged[0] ?? references[0];
  return repositories.size === 1 && single !== undefined && repositories.has(repositoryName(single));
}

/** What speaks against deleting an image; `soft` asks for what force overrules, too. */
function conflictOf(
  deps: ImageDeps,
  id: Digest,
  soft: { references: boolean; stopped: boolean },
): Conflict | null {
  if (deps.store.children(id).length > 0) {
    return { hard: true, used: false, message: 'image has dependent child images' };
  }
  const uses = deps.users.containersUsing(id);
  const running = uses.find((use) => use.running);
  if (running !== undefined) {
    return {
      hard: true,
      used: true,
      message: `image is being used by running container ${shortId(running.containerId)}`,
    };
  }
  if (deps.held.has(id))
    return { hard: true, used: true, message: 'image is being used by a container that is being created' };
  if (soft.references && deps.store.referencesOf(id).length > 0) {
    return { hard: false, used: false, message: 'image is referenced in multiple repositories' };
  }
  const stopped = uses[0];
  if (soft.stopped && stopped !== undefined) {
    return {
      hard: false,
      used: true,
      message: `image is being used by stopped container ${shortId(stopped.containerId)}`,
    };
  }
  return null;
}

function conflictError(id: Digest, conflict: Conflict): EngineError {
  const how = conflict.hard ? 'cannot be forced' : 'must be forced';
  return new EngineError(
    'conflict',
    `conflict: unable to delete ${short(id)} (${how}) - ${conflict.message}`,
  );
}

async function untag(removal: Removal, id: Digest, reference: Reference): Promise<void> {
  const { deps, removed } = removal;
  if (!(await deps.store.untag(reference))) return;
  removed.push({ Untagged: familiarReference(reference) });
  publish(deps, 'untag', { id, name: id });
}

/** Removes the name that was asked for; true when names are left, so that the image stays. */
async function removeName(removal: Removal, image: Image, name: string): Promise<boolean> {
  const { deps, force } = removal;
  const [user] = deps.users.containersUsing(image.id);
  if (user !== undefined && !force && isSingleReference(deps.store.referencesOf(image.id))) {
    throw new EngineError(
      'conflict',
      `conflict: unable to remove repository reference "${name}" (must force) - container ${shortId(user.containerId)} ` +
        `is using its referenced image ${short(image.id)}`,
    );
  }
  const reference = withDefaultTag(parseReference(name));
  const exact = reference.digest === null ? reference : { ...reference, tag: null };
  await untag(removal, image.id, exact);
  const left = deps.store.referencesOf(image.id);
  const repository = repositoryName(reference);
  const sameRepository = left.filter((each) => repositoryName(each) === repository);
  // The last tag of a repository takes the repository's digests along.
  if (exact.digest === null && sameRepository.every((each) => each.digest !== null)) {
    for (const each of sameRepository) await untag(removal, image.id, each);
  }
  return deps.store.referencesOf(image.id).length > 0;
}

interface Deletion {
  readonly force: boolean;
  /** A name went already: what holds the image back then is no error. */
  readonly quiet: boolean;
}

/** Deletes the image and, when asked, its untagged and unused parents. The lock is held. */
async function deleteImage(removal: Removal, id: Digest, how: Deletion): Promise<void> {
  const { deps, removed } = removal;
  const conflict = conflictOf(deps, id, { references: !how.force, stopped: !how.force });
  if (conflict !== null) {
    const dangling = deps.store.referencesOf(id).length === 0 && deps.store.children(id).length === 0;
    if (how.quiet && (!dangling || conflict.used)) return;
    throw conflictError(id, conflict);
  }
  const parent = deps.store.record(id)?.parent ?? '';
  for (const reference of deps.store.referencesOf(id)) await untag(removal, id, reference);
  const labels = deps.store.get(id)?.config.defaults.labels ?? {};
  await deps.store.remove(id);
  deps.onEvent({ action: 'delete', id, attributes: { ...labels, name: id } });
  removed.push({ Deleted: id });
  for (const chainId of await collectLocked(deps)) removed.push({ Deleted: chainId });
  if (!removal.prune || parent === '' || !deps.store.has(parent)) return;
  await deleteImage(removal, parent, { force: false, quiet: true });
}

async function removeLocked(removal: Removal, image: Image, name: string): Promise<void> {
  const { deps, force } = removal;
  if (!isIdPrefix(image.id, name)) {
    if (await removeName(removal, image, name)) return;
    await deleteImage(removal, image.id, { force, quiet: true });
    return;
  }
  const references = deps.store.referencesOf(image.id);
  if (isSingleReference(references)) {
    const conflict = conflictOf(deps, image.id, { references: false, stopped: !force });
    if (conflict !== null) throw conflictError(image.id, conflict);
    for (const reference of references) await untag(removal, image.id, reference);
  }
  await deleteImage(removal, image.id, { force, quiet: false });
}

/**
 * Untags, and deletes the image when its last name went. Errors: `notFound`, `conflict` with the texts
 * clients know.
 */
export async function removeImage(
  deps: ImageDeps,
  nameOrId: string,
  options: RemoveOptions,
): Promise<readonly RemovedImage[]> {
  return deps.mutex.run(IMAGE_LOCK, async () => {
    const image = resolveImage(deps.store, nameOrId, options.platform);
    const removed: RemovedImage[] = [];
    const removal = { deps, force: options.force === true, prune: options.noPrune !== true, removed };
    await removeLocked(removal, image, nameOrId);
    return removed;
  });
}

/**
 * Removes one image that nobody uses, for `prune`; the lock is held. Returns nothing when something holds it
 * back.
 */
export async function removeUnused(deps: ImageDeps, id: Digest): Promise<readonly RemovedImage[]> {
  if (conflictOf(deps, id, { references: false, stopped: true }) !== null) return [];
  const removed: RemovedImage[] = [];
  await deleteImage({ deps, force: true, prune: true, removed }, id, { force: true, quiet: true });
  return removed;
}
