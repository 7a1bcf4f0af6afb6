/**
 * Keys, data, verdicts and comments of nftables in their wire form: linux/netfilter/nf_tables.h, and nft's
 * own user data.
 */
import type { KeyField, KeyType, Verdict } from '../firewall-operations.ts';
import { attribute, type Attributes, attributes, be32, nested, text, textOf } from './netlink-message.ts';
import { addressBytes, addressText, macBytes, macText } from './socket-address.ts';

interface TypeFacts {
  /** nft's number for the type: it shows keys by it. */
  readonly id: number;
  readonly bytes: number;
  encode(field: KeyField): Buffer;
  decode(bytes: Buffer): KeyField;
}

const NAME_BYTES = 16;

function number(width: 1 | 2): Pick<TypeFacts, 'encode' | 'decode'> {
  return {
    encode: (field) => {
      const buffer = Buffer.alloc(width);
      buffer.writeUIntBE(Number(field), 0, width);
      return buffer;
    },
    decode: (bytes) => bytes.readUIntBE(0, width),
  };
}

const ADDRESS = {
  encode: (field: KeyField) => addressBytes(String(field)),
  decode: (bytes: Buffer) => addressText(bytes),
};

const TYPES: Readonly<Record<KeyType, TypeFacts>> = {
  ipv4_addr: { id: 7, bytes: 4, ...ADDRESS },
  ipv6_addr: { id: 8, bytes: 16, ...ADDRESS },
  ether_addr: {
    id: 9,
    bytes: 6,
    encode: (field) => macBytes(String(field)),
    decode: (bytes) => macText(bytes),
  },
  inet_proto: { id: 12, bytes: 1, ...number(1) },
  inet_service: { id: 13, bytes: 2, ...number(2) },
  mark: {
    id: 19,
    bytes: 4,
    encode: (field) => hostU32(Number(field)),
    decode: (bytes) => bytes.readUInt32LE(0),
  },
  ifname: {
    id: 41,
    bytes: NAME_BYTES,
    encode: (field) => interfaceName(String(field)),
    decode: (bytes) => textOf(bytes),
  },
};

const TYPE_BITS = 6;
const VERDICT_TYPE = 0xffffff00;

/** Padded with NULs, as the kernel compares it. */
export function interfaceName(name: string): Buffer {
  const buffer = Buffer.alloc(NAME_BYTES);
  buffer.write(name, 'utf8');
  return buffer;
}

export function hostU32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return buffer;
}

function slotBytes(length: number): number {
  return (length + 3) & ~3;
}

/** A concatenation's fields are padded to whole registers; a single field is not. */
export function keyLength(types: readonly KeyType[]): number {
  const [only] = types;
  if (types.length === 1 && only !== undefined) return TYPES[only].bytes;
  return types.reduce((sum, type) => sum + slotBytes(TYPES[type].bytes), 0);
}

/** nft packs the types of a concatenation into one number, six bits each. */
export function typeNumber(types: readonly KeyType[] | 'verdict'): number {
  if (types === 'verdict') return VERDICT_TYPE;
  return types.reduce((packed, type) => (packed << TYPE_BITS) | TYPES[type].id, 0);
}

/** The types behind such a number; null where one is unknown here. */
export function typesOf(packed: number): readonly KeyType[] | 'verdict' | null {
  if (packed >>> 0 === VERDICT_TYPE) return 'verdict';
  const types: KeyType[] = [];
  for (let rest = packed; rest > 0; rest >>>= TYPE_BITS) {
    const id = rest & ((1 << TYPE_BITS) - 1);
    const found = (Object.keys(TYPES) as KeyType[]).find((type) => TYPES[type].id === id);
    if (found === undefined) return null;
    types.unshift(found);
  }
  return types;
}

export function encodeFields(types: readonly KeyType[], fields: readonly KeyField[]): Buffer {
  const parts = types.map((type, index) => {
    const bytes = TYPES[type].encode(fields[index] ?? '');
    return types.length === 1
      ? bytes
      : Buffer.concat([bytes, Buffer.alloc(slotBytes(bytes.length) - bytes.length)]);
  });
  return Buffer.concat(parts);
}

export function decodeFields(types: readonly KeyType[], bytes: Buffer): readonly KeyField[] {
  let at = 0;
  return types.map((type) => {
    const { bytes: length, decode } = TYPES[type];
    const field = decode(bytes.subarray(at, at + length));
    at += slotBytes(length);
    return field;
  });
}

const DATA = { VALUE: 1, VERDICT: 2 } as const;
const VERDICT = { CODE: 1, CHAIN: 2 } as const;
const CODES = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 } as const;

export function dataValue(type: number, value: Buffer): Buffer {
  return nested(type, attribute(DATA.VALUE, value));
}

export function dataVerdict(type: number, verdict: Verdict): Buffer {
  const parts = [be32(VERDICT.CODE, CODES[verdict.verdict])];
  if ('chain' in verdict) parts.push(text(VERDICT.CHAIN, verdict.chain));
  return nested(type, nested(DATA.VERDICT, ...parts));
}

export function readValue(data: Buffer | undefined): Buffer {
  return attributes(data).get(DATA.VALUE) ?? Buffer.alloc(0);
}

export function readVerdict(data: Buffer | undefined): Verdict {
  const values: Attributes = attributes(attributes(data).get(DATA.VERDICT));
  const code = values.get(VERDICT.CODE)?.readInt32BE(0) ?? 0;
  if (code === CODES.jump || code === CODES.goto) {
    return { verdict: code === CODES.jump ? 'jump' : 'goto', chain: textOf(values.get(VERDICT.CHAIN)) };
  }
  const name = (['drop', 'accept', 'continue', 'return'] as const).find((verdict) => CODES[verdict] === code);
  return { verdict: name ?? 'drop' };
}

const COMMENT_TYPE = 0;
const COMMENT_BYTES = 128;

/** nft's form of user data: type, length, value; a comment is type 0 for rules and elements alike. */
export function commentData(type: number, comment: string): Buffer {
  const bytes = Buffer.from(`${comment}\0`);
  if (bytes.length > COMMENT_BYTES)
    throw new RangeError(`a comment may have ${COMMENT_BYTES - 1} bytes: ${comment}`);
  return attribute(type, Buffer.concat([Buffer.from([COMMENT_TYPE, bytes.length]), bytes]));
}

export function readComment(data: Buffer | undefined): string {
  for (let at = 0; data !== undefined && at + 2 <= data.length; ) {
    const length = data.readUInt8(at + 1);
    if (data.readUInt8(at) === COMMENT_TYPE) return textOf(data.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return '';
}
