const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
/** The longest beginning that tells the window: magic, descriptor, dictionary id, content size. */
export const ZSTD_HEAD_BYTES = 18;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;

/** A frame of data, or one that decoders pass over: both may stand at the beginning. */
export function isZstd(head: Uint8Array): boolean {
  if (head.length < 4) return false;
  const magic = Buffer.from(head.buffer, head.byteOffset, 4).readUInt32LE(0);
  return magic === MAGIC || (magic & 0xfffffff0) >>> 0 === SKIPPABLE;
}

/** How many bytes back a frame's data refers; null when the beginning does not tell (RFC 8878, 3.1.1.1). */
export function zstdWindowBytes(head: Buffer): number | null {
  if (head.length < 6 || head.readUInt32LE(0) !== MAGIC) return null;
  const descriptor = head.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if (!isSingleSegment) {
    const window = head.readUInt8(5);
    const base = 2 ** (10 + (window >> 3));
    return base + (base / 8) * (window & 7);
  }
  const at = 5 + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0);
  const flag = descriptor >> 6;
  const bytes = flag === 0 ? 1 : (CONTENT_SIZE_BYTES[flag] ?? 8);
  if (head.length < at + bytes) return null;
  if (bytes === 8) return Number(head.readBigUInt64LE(at));
  return head.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}
