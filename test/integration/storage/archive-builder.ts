/** Archives for tests, with everything a hostile one may hold. */
import { createHash } from 'node:crypto';
import type { Digest } from '#oci/digest.ts';

export interface Member {
  readonly name: string | Buffer;
  /** Default `0`, a file; `5` for names with a slash at their end. */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** PAX records written in front. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
}

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;

function header(member: Member, size: number): Buffer {
  const block = Buffer.alloc(512);
  const name = Buffer.isBuffer(member.name) ? member.name : Buffer.from(member.name);
  name.copy(block, 0, 0, Math.min(100, name.length));
  block.write(octal(member.mode ?? 0o644, 8), 100);
  block.write(octal(member.uid ?? 0, 8), 108);
  block.write(octal(member.gid ?? 0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(member.mtime ?? 1_600_000_000, 12), 136);
  block.write('        ', 148);
  block.write(member.type ?? (name.at(-1) === 0x2f ? '5' : '0'), 156);
  block.write(member.link ?? '', 157, 100, 'utf8');
  block.write('ustar\x0000', 257);
  block.write(octal(member.major ?? 0, 8), 329);
  block.write(octal(member.minor ?? 0, 8), 337);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export function paxRecord(key: string, value: string | Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

export function tar(members: readonly Member[], options: { readonly end?: boolean } = {}): Buffer {
  const parts: Buffer[] = [];
  for (const member of members) {
    if (member.pax !== undefined) {
      const records = Buffer.concat(Object.entries(member.pax).map(([key, value]) => paxRecord(key, value)));
      parts.push(header({ name: 'pax', type: 'x' }, records.length), padded(records));
    }
    const content = Buffer.from(member.content ?? '');
    parts.push(header(member, content.length), padded(content));
  }
  if (options.end !== false) parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}

export function digest(bytes: Buffer): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

export async function* chunks(bytes: Buffer, size = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
