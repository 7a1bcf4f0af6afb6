/** Netlink's wire form: headers in the machine's order, attributes padded to four bytes. linux/netlink.h. */

export const NLM_F = {
  REQUEST: 1,
  ACK: 4,
  DUMP_INTERRUPTED: 0x10,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  DUMP: 0x300,
} as const;

export const NLMSG = { ERROR: 2, DONE: 3 } as const;

export const HEADER_BYTES = 16;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

function pad(length: number): number {
  return (length + 3) & ~3;
}

export function encodeMessage(message: NetlinkMessage): Buffer {
  const length = HEADER_BYTES + message.payload.length;
  const buffer = Buffer.alloc(pad(length));
  buffer.writeUInt32LE(length, 0);
  buffer.writeUInt16LE(message.type, 4);
  buffer.writeUInt16LE(message.flags, 6);
  buffer.writeUInt32LE(message.sequence, 8);
  message.payload.copy(buffer, HEADER_BYTES);
  return buffer;
}

export function* decodeMessages(buffer: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + HEADER_BYTES <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > buffer.length) return;
    yield {
      type: buffer.readUInt16LE(at + 4),
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      payload: buffer.subarray(at + HEADER_BYTES, at + length),
    };
    at += pad(length);
  }
}

export function attribute(type: number, value: Buffer): Buffer {
  const buffer = Buffer.alloc(pad(4 + value.length));
  buffer.writeUInt16LE(4 + value.length, 0);
  buffer.writeUInt16LE(type, 2);
  value.copy(buffer, 4);
  return buffer;
}

export function nested(type: number, ...children: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(children));
}

/** With its NUL, as rtnetlink and nftables read names. */
export function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`));
}

/** rtnetlink's numbers are in the machine's order … */
export function u32(type: number, value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return attribute(type, buffer);
}

export function u8(type: number, value: number): Buffer {
  return attribute(type, Buffer.from([value]));
}

/** … netfilter's in the network's. */
export function be32(type: number, value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return attribute(type, buffer);
}

export function be64(type: number, value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return attribute(type, buffer);
}

export type Attributes = ReadonlyMap<number, Buffer>;

export function* eachAttribute(buffer: Buffer): Generator<readonly [type: number, value: Buffer]> {
  for (let at = 0; at + 4 <= buffer.length; ) {
    const length = buffer.readUInt16LE(at);
    if (length < 4 || at + length > buffer.length) return;
    yield [buffer.readUInt16LE(at + 2) & TYPE_MASK, buffer.subarray(at + 4, at + length)];
    at += pad(length);
  }
}

export function attributes(buffer: Buffer | undefined): Attributes {
  return new Map(eachAttribute(buffer ?? Buffer.alloc(0)));
}

export function textOf(value: Buffer | undefined): string {
  if (value === undefined) return '';
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}
