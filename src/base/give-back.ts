/**
 * Gives the memory of bytes back that nobody reads any more. What comes from a socket is garbage after some
 * microseconds, 64 KiB at a time: the collector would find it late, after tens of megabytes, and stop
 * everybody to do so. Bytes that are a part of something larger are left alone.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const isWhole = bytes.byteLength > 0 && bytes.byteLength === buffer.byteLength;
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
