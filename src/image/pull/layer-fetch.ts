import { setTimeout as pause } from 'node:timers/promises';
import { errorCode, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { TurnShare } from '#base/turn-share.ts';
import type { Digest } from '#oci/digest.ts';
import type { RegistryClient, Repository } from '#registry/client.ts';
import type { Intake } from '#storage/intake.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';
import type { Storage } from '#storage/storage.ts';
import { downloadLayer, isInterruption } from './layer-download.ts';
import type { LayerProgress } from './pull-progress.ts';
import { unpackError } from './pull-errors.ts';

export interface FetchDeps {
  readonly storage: Pick<Storage, 'content' | 'intakes' | 'snapshotter'>;
  readonly downloads: RegistryClient['downloads'];
  /** Of all downloads together. */
  readonly share: TurnShare;
}

export interface LayerWant {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly diffId: Digest;
}

/** While somebody else writes the same blob. */
const BUSY_MS = 100;

async function openIntake(deps: FetchDeps, want: LayerWant, signal: AbortSignal): Promise<Intake | null> {
  for (;;) {
    try {
      return await deps.storage.intakes.open(want);
    } catch (error) {
      if (!isEngineError(error, 'conflict')) throw error;
    }
    await pause(BUSY_MS, undefined, { signal });
    if (await deps.storage.content.has(want.digest)) return null;
  }
}

/** The archive is here: only its tree is missing. */
async function unpackStored(
  deps: FetchDeps,
  want: LayerWant,
  how: { readonly progress: LayerProgress; readonly signal: AbortSignal },
): Promise<UnpackedLayer> {
  const { progress, signal } = how;
  progress.step('Download complete');
  try {
    return await deps.storage.snapshotter.unpack({
      bytes: { blob: want.digest },
      diffId: want.diffId,
      onProgress: (readBytes) => progress.amount('Extracting', readBytes),
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw unpackError(error);
  }
}

interface Attempt {
  readonly intake: Intake;
  readonly progress: LayerProgress;
  readonly signal: AbortSignal;
  /** Gives the turn to others: the network is not needed any more. */
  readonly loaded: () => void;
}

/** Bytes come, and are unpacked as they do; both have ended when this does. */
async function attempt(deps: FetchDeps, want: LayerWant, of: Attempt): Promise<UnpackedLayer> {
  const { intake, progress } = of;
  const stop = new AbortController();
  const signal = AbortSignal.any([of.signal, stop.signal]);
  let isLoaded = false;
  const download = downloadLayer({
    repository: want.repository,
    intake,
    share: deps.share,
    signal,
    onBytes: (haveBytes) => progress.amount('Downloading', haveBytes),
    onRetry: (delayMs) => progress.countDown(delayMs),
  }).then(() => {
    isLoaded = true;
    of.loaded();
    progress.step('Verifying Checksum');
    progress.step('Download complete');
  });
  const unpack = deps.storage.snapshotter.unpack({
    bytes: { growing: intake.file, digest: want.digest },
    diffId: want.diffId,
    onProgress: (readBytes) => {
      if (isLoaded) progress.amount('Extracting', readBytes);
    },
    signal,
  });
  unpack.catch(() => stop.abort());
  const [loaded, unpacked] = await Promise.allSettled([download, unpack]);
  progress.stopCounting();
  const isWhole = loaded.status === 'fulfilled' && !of.signal.aborted;
  if (isWhole && unpacked.status === 'fulfilled') return unpacked.value;
  if (unpacked.status === 'fulfilled') await unpacked.value.discard();
  of.signal.throwIfAborted();
  // Where the source has failed the tree only says that it ended early.
  if (unpacked.status === 'rejected' && !isLost(unpacked.reason)) throw unpacked.reason;
  if (loaded.status === 'rejected' && !isAbort(loaded.reason)) throw loaded.reason;
  throw unpacked.status === 'rejected' ? unpacked.reason : new Error('a layer is neither here nor refused');
}

/** The download was ended because nobody unpacks it any more. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** What unpacking says when its source has failed. */
function isLost(error: unknown): boolean {
  return isEngineError(error, 'unavailable');
}

/**
 * Brings a layer's archive and unpacks it, in one pass over the bytes; afterwards it is a blob of the content
 * store. Bytes that an earlier try has left are gone on with. Errors: the registry's; `invalidArgument` for
 * an archive that is not what its digests say.
 */
export async function fetchLayer(
  deps: FetchDeps,
  want: LayerWant,
  how: { readonly progress: LayerProgress; readonly signal: AbortSignal },
): Promise<UnpackedLayer> {
  const { progress, signal } = how;
  if (await deps.storage.content.has(want.digest)) return unpackStored(deps, want, how);
  progress.step('Waiting');
  let giveBack = await deps.downloads.take(signal);
  try {
    for (let tries = 1; ; tries++) {
      const intake = await openIntake(deps, want, signal);
      if (intake === null) return await unpackStored(deps, want, how);
      const wasBegun = intake.haveBytes > 0;
      try {
        const unpacked = await attempt(deps, want, { intake, progress, signal, loaded: () => giveBack() });
        return await published(intake, unpacked);
      } catch (error) {
        await intake.close(isInterruption(error, signal) ? 'keep' : 'discard');
        if (errorCode(error) !== 'DIGEST_MISMATCH') throw error;
        // An earlier try may have left something else; and another source may have the right bytes.
        const isHopeful = wasBegun || (await want.repository.distrust(want.digest));
        if (!isHopeful || tries === LIMITS.registryTries) throw error;
        // With the last byte the turn went to another layer: a repetition is a download like any other.
        giveBack();
        progress.step('Waiting');
        giveBack = await deps.downloads.take(signal);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    throw unpackError(error);
  } finally {
    giveBack();
  }
}

async function published(intake: Intake, unpacked: UnpackedLayer): Promise<UnpackedLayer> {
  try {
    await intake.publish();
    return unpacked;
  } catch (error) {
    await unpacked.discard();
    throw error;
  }
}
