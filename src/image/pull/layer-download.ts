import { errorCode, isEngineError } from '#base/errors.ts';
import { giveBack } from '#base/give-back.ts';
import type { TurnShare } from '#base/turn-share.ts';
import type { Repository } from '#registry/client.ts';
import { RegistryError } from '#registry/errors.ts';
import type { Intake } from '#storage/intake.ts';
import { IntakeWriter } from '#storage/intake-writer.ts';

export interface LayerDownload {
  readonly share: TurnShare;
  readonly repository: Repository;
  readonly intake: Intake;
  readonly signal: AbortSignal;
  readonly onBytes: (haveBytes: number) => void;
  /** Nothing comes for so long. */
  readonly onRetry: (delayMs: number) => void;
}

/**
 * Brings the rest of a blob, from where its intake stands, and ends it. What a server repeats is skipped.
 * Errors: the registry's, the signal's reason, the disk's.
 */
export async function downloadLayer(download: LayerDownload): Promise<void> {
  const { repository, intake, share, signal, onBytes, onRetry } = download;
  const writer = new IntakeWriter(intake);
  try {
    const { haveBytes, sizeBytes, digest } = intake;
    const body = await repository.blob({ digest, sizeBytes }, { offset: haveBytes, signal, onRetry });
    let skip = haveBytes - body.offset;
    let position = haveBytes;
    for await (const chunk of share.slowed(body.chunks)) {
      const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - fresh.length;
      if (fresh.length > 0) {
        await writer.add(fresh);
        position += fresh.length;
        onBytes(position);
      }
      giveBack(chunk);
    }
    await writer.end();
    intake.end();
  } catch (error) {
    intake.fail();
    throw error;
  } finally {
    await writer.stop();
  }
}

/**
 * Whether what has come is worth keeping: the next try may have a better connection, or an engine that is not
 * being stopped.
 */
export function isInterruption(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted || isEngineError(error, 'unavailable')) return true;
  if (error instanceof RegistryError)
    return error.status < 400 || error.status >= 500 || error.status === 429;
  return errorCode(error) === 'ECONNRESET';
}
