import { open } from 'node:fs/promises';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Digest } from '#oci/digest.ts';
import type { Blob, ContentStore } from './content-store.ts';
import { detectCompression } from './layer/decompress.ts';
import type { WorkerPool } from './layer/worker-pool.ts';
import type { Lease } from './lease.ts';

/** How a kept archive is compressed; `other`: with something that registries do not carry. */
export type ArchiveForm = 'none' | 'gzip' | 'zstd' | 'other';

/** Archives of layers in the content store, on their way out. */
export interface LayerArchives {
  /** Errors: `notFound`. */
  formOf(blob: Digest): Promise<ArchiveForm>;
  /** Makes a blob of the same archive compressed with gzip; the lease holds it. On other threads. */
  compress(blob: Digest, options: { readonly lease: Lease; readonly signal: AbortSignal }): Promise<Blob>;
}

const HEAD_BYTES = 18;

async function headOf(path: string): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

export function createLayerArchives({
  content,
  pool,
}: {
  readonly content: ContentStore;
  readonly pool: WorkerPool;
}): LayerArchives {
  // One after the other: each keeps several processors busy, and some memory.
  const turns = new KeyedMutex();
  return {
    formOf: async (blob) => {
      await content.stat(blob);
      const head = await headOf(content.pathOf(blob));
      const form = detectCompression(head);
      return form === 'none' || form === 'gzip' || form === 'zstd' ? form : 'other';
    },
    compress: (blob, { lease, signal }) => {
      const path = content.pathOf(blob);
      return turns.run('compress', () =>
        content.ingestFile(async (target) => {
          const { digest, sizeBytes } = await pool.run({ kind: 'compress', path, target }, { signal });
          return { digest: digest as Digest, sizeBytes };
        }, lease),
      );
    },
  };
}
