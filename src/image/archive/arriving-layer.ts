import { EngineError } from '#base/errors.ts';
import type { Digest } from '#oci/digest.ts';
import type { UnknownIntake } from '#storage/intake.ts';
import { IntakeWriter } from '#storage/intake-writer.ts';
import type { Lease } from '#storage/lease.ts';
import type { UnpackedLayer } from '#storage/snapshotter.ts';
import type { Storage } from '#storage/storage.ts';

/** A layer whose archive is in the content store, held by the lease, and which is unpacked. */
export interface ArrivedLayer {
  readonly blob: Digest;
  readonly unpacked: UnpackedLayer;
}

export interface ReceiveOptions {
  readonly storage: Pick<Storage, 'content' | 'intakes' | 'snapshotter'>;
  readonly lease: Lease;
  /** Of the archive as it comes; null: whatever it is. */
  readonly digest: Digest | null;
  readonly signal: AbortSignal;
  readonly onProgress?: (receivedBytes: number) => void;
}

/** Writes a source into an intake until it ends, or nobody reads what is written. */
async function pour(
  source: AsyncIterable<Uint8Array>,
  intake: UnknownIntake,
  how: { readonly isUnread: () => boolean; readonly onProgress: ((bytes: number) => void) | undefined },
): Promise<void> {
  let received = 0;
  const writer = new IntakeWriter(intake, (bytes) => how.onProgress?.((received += bytes)));
  try {
    for await (const chunk of source) {
      await writer.add(chunk);
      if (how.isUnread()) return;
    }
    await writer.end();
  } finally {
    await writer.stop();
  }
}

/**
 * Takes a layer's archive in: it is written down and unpacked at the same time, on other threads. Resolves
 * when the source has given all (or the archive is broken, and the rest is left), with what will become of
 * it. Errors: the source's and the disk's; `arrived`: `invalidArgument` for a bad archive or another digest.
 */
export async function receiveLayer(
  source: AsyncIterable<Uint8Array>,
  options: ReceiveOptions,
): Promise<{ readonly arrived: Promise<ArrivedLayer> }> {
  const { snapshotter, intakes } = options.storage;
  const intake = await intakes.openUnknown();
  let isUnread = false;
  const unpacking = snapshotter.unpack({
    bytes: { growing: intake.file, digest: null },
    diffId: null,
    signal: options.signal,
  });
  unpacking.catch(() => {
    isUnread = true;
  });
  try {
    await pour(source, intake, { isUnread: () => isUnread, onProgress: options.onProgress });
    if (isUnread) intake.fail();
    else intake.end();
  } catch (error) {
    intake.fail();
    await unpacking.then(
      (unpacked) => unpacked.discard(),
      () => undefined,
    );
    await intake.close();
    throw error;
  }
  const arrived = keep(intake, unpacking, options);
  // Nobody may ask for it.
  arrived.catch(() => undefined);
  return { arrived };
}

async function keep(
  intake: UnknownIntake,
  unpacking: Promise<UnpackedLayer>,
  { lease, digest }: ReceiveOptions,
): Promise<ArrivedLayer> {
  try {
    const unpacked = await unpacking;
    const blob = unpacked.blobDigest;
    try {
      if (digest !== null && blob !== digest)
        throw new EngineError('invalidArgument', `unexpected digest: expected ${digest}, got ${blob}`);
      lease.hold(blob);
      await intake.publishAs(blob);
      return { blob, unpacked };
    } catch (error) {
      await unpacked.discard();
      throw error;
    }
  } finally {
    await intake.close();
  }
}
