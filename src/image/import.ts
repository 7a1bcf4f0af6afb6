import { EngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';
import type { Digest } from '#oci/digest.ts';
import { EMPTY_DEFAULTS } from '#oci/image-config.ts';
import { hostPlatform } from '#oci/platform.ts';
import type { Reference } from '#oci/reference.ts';
import { receiveLayer } from './archive/arriving-layer.ts';
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

/** `onReceived` does not know how much will come. */
export interface ImportProgress {
  readonly from?: string;
  readonly onReceived?: (bytes: number) => void;
}

/**
 * Makes an image of one layer from a root file system's archive, which is read once. Returns its id. Errors:
 * `invalidArgument`.
 */
export async function importTar(
  deps: ImageDeps,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions & ImportProgress,
): Promise<Digest> {
  const target = targetOf(options);
  const platform = options.platform ?? hostPlatform();
  if (platform.os !== 'linux')
    throw new EngineError('invalidArgument', 'operating system is not supported', {
      hint: 'This engine runs containers of Linux only.',
    });
  const defaults = applyChanges(EMPTY_DEFAULTS, options.changes ?? []);
  const { storage } = deps;
  return withLease(deps, async (lease) => {
    const { arrived } = await receiveLayer(givenBack(source), {
      storage,
      lease,
      digest: null,
      signal: new AbortController().signal,
      ...(options.onReceived !== undefined && { onProgress: options.onReceived }),
    });
    const { blob, unpacked } = await arrived;
    try {
      const created = nowText(deps);
      const asked = options.message ?? '';
      const comment = asked === '' ? `Imported from ${options.from ?? '-'}` : asked;
      const config = encodeImageConfig({
        created,
        comment,
        dockerVersion: deps.engineVersion,
        platform,
        defaults,
        diffIds: [unpacked.diffId],
        history: [{ created, comment }],
      });
      const parts = { layerBlobs: [blob], unpacked: new Map([[0, unpacked]]) };
      const imported = await registerImage(deps, { config, ...parts, lease });
      publish(deps, 'import', { id: imported, name: imported });
      if (target !== null) await deps.mutex.run(IMAGE_LOCK, () => setTag(deps, target, imported));
      return imported;
    } finally {
      await unpacked.discard();
    }
  });
}

async function* givenBack(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield chunk;
    giveBack(chunk);
  }
}
