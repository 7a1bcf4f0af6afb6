import { decompressFile as plainBytes } from './layer/decompress.ts';

/** The plain bytes of a file, whatever it is compressed with. Errors: `invalidArgument`. */
export function decompressFile(path: string): AsyncIterable<Buffer> {
  return plainBytes(path);
}
