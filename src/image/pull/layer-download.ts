import { errorCode, isEngineError } from '#base/errors.ts';
import type { Repository } from '#registry/client.ts';
import { RegistryError } from '#registry/errors.ts';
import type { Intake } from '#storage/intake.ts';

/** Pieces are written together from so many bytes on; a writer that is so far behind is waited for. */
const WRITE_BYTES = 256 * 1024;
const WAITING_BYTES = 1024 * 1024;

/** Takes what comes from the network while earlier pieces are still being written. */
class Gathering {
  readonly #intake: Intake;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #writing: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= WRITE_BYTES) this.#write();
    if (this.#bytes >= WAITING_BYTES) await this.#writing;
    this.#check();
  }

  async end(): Promise<void> {
    while (this.#failure === null && (this.#writing !== null || this.#pieces.length > 0)) {
      this.#write();
      await this.#writing;
    }
    this.#check();
  }

  /** Nothing of it is written any more afterwards. */
  async stop(): Promise<void> {
    this.#pieces = [];
    await this.#writing;
  }

  #write(): void {
    if (this.#writing !== null || this.#pieces.length === 0) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    this.#writing = this.#intake.append(pieces).then(
      () => this.#written(),
      (error: unknown) => {
        this.#failure = { error };
        this.#writing = null;
      },
    );
  }

  #written(): void {
    this.#writing = null;
    if (this.#bytes >= WRITE_BYTES) this.#write();
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}

export interface LayerDownload {
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
  const { repository, intake, signal, onBytes, onRetry } = download;
  const gathering = new Gathering(intake);
  try {
    const { haveBytes, sizeBytes, digest } = intake;
    const body = await repository.blob({ digest, sizeBytes }, { offset: haveBytes, signal, onRetry });
    let skip = haveBytes - body.offset;
    let position = haveBytes;
    for await (const chunk of body.chunks) {
      const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - fresh.length;
      if (fresh.length === 0) continue;
      await gathering.add(fresh);
      position += fresh.length;
      onBytes(position);
    }
    await gathering.end();
    intake.end();
  } catch (error) {
    intake.fail();
    await gathering.stop();
    throw error;
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
