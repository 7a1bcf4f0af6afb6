import { EngineError } from '#base/errors.ts';
import { noSuchImage, platformMismatch } from '#api/messages.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import { configPlatform, formatPlatform, platformRuns, type Platform } from '#oci/platform.ts';
import { familiarReference, parseAnyReference, withDefaultTag } from '#oci/reference.ts';
import type { Image } from './image-service.ts';
import type { ImageStore } from './store/image-store.ts';

/** Digits of an id, with or without `sha256:`; ambiguous ones find nothing, as in the reference. */
function findByPrefix(store: ImageStore, text: string): Digest | null {
  const prefix = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (!/^[0-9a-f]{1,64}$/.test(prefix)) return null;
  const found = store.ids().filter((id) => digestHex(id).startsWith(prefix));
  return found.length === 1 ? (found[0] ?? null) : null;
}

function findId(store: ImageStore, nameOrId: string): Digest {
  const any = parseAnyReference(nameOrId);
  if (any.kind === 'digest') {
    if (store.has(any.digest)) return any.digest;
    throw new EngineError('notFound', noSuchImage(any.digest));
  }
  const { reference } = any;
  // A name with both is looked up by what cannot change.
  const wanted = reference.digest === null ? withDefaultTag(reference) : { ...reference, tag: null };
  const id = store.lookup(wanted) ?? findByPrefix(store, nameOrId);
  if (id === null)
    throw new EngineError('notFound', noSuchImage(familiarReference(withDefaultTag(reference))));
  return id;
}

/** By name, id, or unambiguous beginning of an id. Errors: `notFound`, `invalidArgument`. */
export function resolveImage(store: ImageStore, nameOrId: string, platform?: Platform): Image {
  const image = store.get(findId(store, nameOrId));
  if (image === null) throw new EngineError('notFound', noSuchImage(nameOrId));
  if (platform === undefined) return image;
  const actual = configPlatform(image.config);
  if (!platformRuns(platform, actual)) {
    const text = { name: nameOrId, actual: formatPlatform(actual), wanted: formatPlatform(platform) };
    throw new EngineError('notFound', platformMismatch(text));
  }
  return image;
}
