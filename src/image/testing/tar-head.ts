/** For tests. */
export const TAR_BLOCK = 512;

/** The head of a member of a ustar archive. */
export function tarHead(name: string, sizeBytes: number, type = '0'): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  block.write(name);
  block.write('0000644\0', 100);
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
