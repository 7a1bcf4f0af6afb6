import { EngineError, errorMessage } from '#base/errors.ts';
import { rfc3339Nano } from '#base/clock.ts';
import type { Digest } from '#oci/digest.ts';
import {
  familiarReference,
  parseReference,
  withDefaultTag,
  withTag,
  type Reference,
} from '#oci/reference.ts';
import { IMAGE_LOCK, publish, type ImageDeps } from './deps.ts';
import { resolveImage } from './resolve.ts';

export function nowText(deps: Pick<ImageDeps, 'clock'>): string {
  return rfc3339Nano(BigInt(Math.round(deps.clock.nowMs() * 1000)) * 1000n);
}

/** `repo` and `tag` as the API gives them. Errors: `invalidArgument`. */
export function parseTarget(repo: string, tag: string): Reference {
  const reference = parseReference(repo);
  if (reference.digest !== null)
    throw new EngineError('invalidArgument', 'refusing to create a tag with a digest reference');
  return withDefaultTag(tag === '' ? reference : withTag(reference, tag));
}

export async function setTag(deps: ImageDeps, reference: Reference, id: Digest): Promise<void> {
  await deps.store.tag(reference, id, nowText(deps));
  publish(deps, 'tag', { id, name: familiarReference(reference) });
}

export async function tagImage(
  deps: ImageDeps,
  nameOrId: string,
  target: { repo: string; tag: string },
): Promise<void> {
  const image = resolveImage(deps.store, nameOrId);
  let reference: Reference;
  try {
    reference = parseTarget(target.repo, target.tag);
  } catch (error) {
    throw new EngineError('invalidArgument', errorMessage(error), { cause: error });
  }
  await deps.mutex.run(IMAGE_LOCK, () => setTag(deps, reference, image.id));
}
