import { LIMITS } from '#base/limits.ts';

/** How long a registry may keep somebody waiting; tests have less patience. */
export interface Timings {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly documentMs: number;
  readonly silenceMs: number;
  /** The first pause before an attempt is repeated; it doubles. */
  readonly backoffMs: number;
  readonly chunkBytes: number;
}

export const TIMINGS: Timings = {
  connectMs: LIMITS.registryConnectMs,
  firstByteMs: LIMITS.registryFirstByteMs,
  idleMs: LIMITS.registryIdleMs,
  documentMs: LIMITS.registryDocumentMs,
  silenceMs: LIMITS.mirrorSilenceMs,
  backoffMs: 1000,
  chunkBytes: LIMITS.uploadChunkBytes,
};
