import { EngineError } from '#base/errors.ts';
import { badScheme } from '#api/messages.ts';
import type { Digest } from '#oci/digest.ts';
import type { ImageDeps } from './deps.ts';
import type { ImportOptions, PushOptions } from './image-service.ts';
import { importTar } from './import.ts';
import { progressBar } from './progress-bar.ts';

type ImportUrlOptions = ImportOptions & Pick<PushOptions, 'signal' | 'onProgress'>;

const INTERVAL_MS = 100;

/** Without a scheme it is `http://`. Errors: `invalidArgument`; `internal` for a scheme nobody fetches. */
function addressOf(text: string): string {
  const url = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(url))
    throw new EngineError('invalidArgument', `parse ${JSON.stringify(url)}: invalid URL`);
  const scheme = new URL(url).protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https') throw new EngineError('internal', badScheme(url, scheme));
  return url;
}

/** As `importTar`, from an archive that is somewhere on the web. Nothing is reported before it answers. */
export async function importUrl(deps: ImageDeps, from: string, options: ImportUrlOptions): Promise<Digest> {
  const { signal, onProgress } = options;
  const url = addressOf(from);
  const { sizeBytes, chunks } = await deps.registry.fetchUrl(url, signal);
  onProgress({ status: `Downloading from ${url}` });
  const total = sizeBytes ?? 0;
  let told = Number.NEGATIVE_INFINITY;
  const onReceived = (current: number): void => {
    if (current < total && performance.now() - told < INTERVAL_MS) return;
    told = performance.now();
    const progressDetail = { current, ...(total > 0 && { total }) };
    onProgress({ status: 'Importing', progressDetail, progress: progressBar(current, total) });
  };
  return importTar(deps, chunks, { ...options, from, onReceived });
}
