const BLOCK = 512;
const SIZE_MAX = 0o77777777777;

export interface TarMember {
  readonly path: string;
  readonly type: 'file' | 'directory';
  readonly mode: number;
  readonly sizeBytes: number;
  /** Seconds since 1970. */
  readonly mtimeSeconds: number;
}

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, '0')}\0`;
}

/** A ustar header for short ASCII paths, as archives of ours have them. */
export function tarHeader(member: TarMember): Buffer {
  const block = Buffer.alloc(BLOCK);
  if (member.path.length > 100 || member.sizeBytes > SIZE_MAX)
    throw new RangeError('tar header field too long');
  block.write(member.path, 0, 'latin1');
  block.write(octal(member.mode, 8), 100, 'latin1');
  block.write(octal(0, 8), 108, 'latin1');
  block.write(octal(0, 8), 116, 'latin1');
  block.write(octal(member.sizeBytes, 12), 124, 'latin1');
  block.write(octal(member.mtimeSeconds, 12), 136, 'latin1');
  block.write('        ', 148, 'latin1');
  block.write(member.type === 'directory' ? '5' : '0', 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Zeros up to the next block's start. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);
}

export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}
