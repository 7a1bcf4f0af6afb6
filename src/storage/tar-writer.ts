const BLOCK = 512;
const SIZE_MAX = 0o77777777777;
const ID_MAX = 0o7777777;
const NAME_MAX = 100;

export type TarMemberType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** Paths and link targets are byte strings (one character per byte): names need not be UTF-8. */
export interface TarMember {
  readonly path: string;
  readonly type: TarMemberType;
  readonly mode: number;
  readonly sizeBytes: number;
  /** Seconds since 1970; may be negative. */
  readonly mtimeSeconds: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly linkPath?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: ReadonlyMap<string, Buffer>;
}

const TYPE_FLAGS: Readonly<Record<TarMemberType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, '0')}\0`;
}

interface Block {
  readonly name: string;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
}

function headerBlock(of: Block): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(of.name, 0, NAME_MAX, 'latin1');
  block.write(octal(of.mode, 8), 100, 'latin1');
  block.write(octal(of.uid, 8), 108, 'latin1');
  block.write(octal(of.gid, 8), 116, 'latin1');
  block.write(octal(of.sizeBytes, 12), 124, 'latin1');
  block.write(octal(of.mtimeSeconds, 12), 136, 'latin1');
  block.write('        ', 148, 'latin1');
  block.write(of.flag, 156, 'latin1');
  block.write(of.linkName, 157, NAME_MAX, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  if (of.major !== 0 || of.minor !== 0) {
    block.write(octal(of.major, 8), 329, 'latin1');
    block.write(octal(of.minor, 8), 337, 'latin1');
  }
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function fits(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return text.length <= NAME_MAX && /^[\x01-\x7f]*$/.test(text);
}

/** What does not fit into a plain header, in the order of the keys. */
function paxRecords(member: Required<Omit<TarMember, 'xattrs'>>, xattrs: TarMember['xattrs']): Buffer[] {
  const records: (readonly [key: string, value: Buffer])[] = [];
  const text = (key: string, value: string): number => records.push([key, Buffer.from(value, 'latin1')]);
  for (const [name, value] of xattrs ?? []) records.push([`SCHILY.xattr.${name}`, value]);
  if (member.gid > ID_MAX) text('gid', String(member.gid));
  if (!fits(member.linkPath)) text('linkpath', member.linkPath);
  if (member.mtimeSeconds < 0 || member.mtimeSeconds > SIZE_MAX) text('mtime', String(member.mtimeSeconds));
  if (!fits(member.path)) text('path', member.path);
  if (member.sizeBytes > SIZE_MAX) text('size', String(member.sizeBytes));
  if (member.uid > ID_MAX) text('uid', String(member.uid));
  return records.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => paxRecord(key, value));
}

/** The blocks before a member's content: a ustar header, with a PAX one before it where that is too small. */
export function tarHeader(of: TarMember): Buffer {
  const { xattrs, ...given } = of;
  const member = { uid: 0, gid: 0, linkPath: '', major: 0, minor: 0, ...given };
  const pax = paxRecords(member, xattrs);
  const clamped = (value: number, max: number): number => (value < 0 || value > max ? 0 : value);
  const block = headerBlock({
    name: member.path,
    flag: TYPE_FLAGS[member.type],
    mode: member.mode,
    uid: clamped(member.uid, ID_MAX),
    gid: clamped(member.gid, ID_MAX),
    sizeBytes: clamped(member.sizeBytes, SIZE_MAX),
    mtimeSeconds: clamped(member.mtimeSeconds, SIZE_MAX),
    linkName: member.linkPath,
    major: member.major,
    minor: member.minor,
  });
  if (pax.length === 0) return block;
  const body = Buffer.concat(pax);
  const header = headerBlock({
    name: 'PaxHeaders.0/member',
    flag: 'x',
    ...{ mode: 0, uid: 0, gid: 0, mtimeSeconds: 0, linkName: '', major: 0, minor: 0 },
    sizeBytes: body.length,
  });
  return Buffer.concat([header, body, tarPadding(body.length), block]);
}

/** Zeros up to the next block's start. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);
}

export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}
