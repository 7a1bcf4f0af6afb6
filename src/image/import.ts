import { EngineError } from '#base/errors.ts';
import type { Digest } from '#oci/digest.ts';
import { EMPTY_DEFAULTS } from '#oci/image-config.ts';
import { hostPlatform } from '#oci/platform.ts';
import type { Reference } from '#oci/reference.ts';
import { decompressedDigest } from '#storage/plain-bytes.ts';
import { applyChanges } from './changes.ts';
import { encodeImageConfig } from './encode-config.ts';
import { IMAGE_LOCK, publish, type ImageDeps } from './deps.ts';
import type { ImportOptions } from './image-service.ts';
import { registerImage, withLease } from './register.ts';
import { nowText, parseTarget, setTag } from './tag.ts';

function targetOf(options: ImportOptions): Reference | null {
  if (options.repo === undefined || options.repo === '') return null;
  return parseTarget(options.repo, options.tag ?? '');
}

/**
 * Makes an image of one layer from a root file system's archive. Returns its id. Errors: `invalidArgument`.
 */
export async function importTar(
  deps: ImageDeps,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Digest> {
  const target = targetOf(options);
  const defaults = applyChanges(EMPTY_DEFAULTS, options.changes ?? []);
  const platform = options.platform ?? hostPlatform();
  const { content } = deps.storage;
  return withLease(deps, async (lease) => {
    const blob = await content.ingest(source, { lease });
    if (blob.sizeBytes === 0) throw new EngineError('invalidArgument', 'unexpected EOF');
    const diffId = await decompressedDigest(content, blob.digest);
    const created = nowText(deps);
    const comment =
      options.message === undefined || options.message === '' ? 'Imported from -' : options.message;
    const config = encodeImageConfig({
      created,
      comment,
      dockerVersion: deps.engineVersion,
      platform,
      defaults,
      diffIds: [diffId],
      history: [{ created, comment }],
    });
    const imported = await registerImage(deps, { config, layerBlobs: [blob.digest], lease });
    publish(deps, 'import', { id: imported, name: imported });
    if (target !== null) await deps.mutex.run(IMAGE_LOCK, () => setTag(deps, target, imported));
    return imported;
  });
}
