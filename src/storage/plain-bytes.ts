import { createHash } from 'node:crypto';
import { digestFromHex, type Digest } from '#oci/digest.ts';
import type { ContentStore } from './content-store.ts';
import { decompressFile as plainBytes } from './layer/decompress.ts';

/** The plain bytes of a file, whatever it is compressed with. Errors: `invalidArgument`. */
export function decompressFile(path: string): AsyncIterable<Buffer> {
  return plainBytes(path);
}

/**
 * The diffID of an archive in the content store: the digest of its plain bytes. Errors: `invalidArgument`.
 */
export async function decompressedDigest(content: ContentStore, blob: Digest): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of plainBytes(content.pathOf(blob))) hash.update(chunk);
  return digestFromHex(hash.digest('hex'));
}
