import { EngineError } from '#base/errors.ts';

/*
 * IP addresses as numbers. One type for both versions keeps the pool, the plans and the checks free of
 * branches: an address is a bigint of 32 or 128 bits beside its family.
 */

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

export interface Prefix {
  readonly family: Family;
  /** The network's first address. */
  readonly base: bigint;
  readonly length: number;
}

/** An address together with the prefix length of its network, such as a bridge has. */
export interface Interface {
  readonly address: Address;
  readonly prefix: Prefix;
}

export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128);

function parseIpv4(text: string): bigint | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  let value = 0n;
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/**
 * The 16-bit groups of one side of `::`; null when any is malformed. A trailing dotted quad counts as two
 * groups.
 */
function ipv6Groups(text: string): bigint[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: bigint[] = [];
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const v4 = parseIpv4(part);
      if (v4 === null) return null;
      groups.push(v4 >> 16n, v4 & 0xffffn);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}

function parseIpv6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = ipv6Groups(halves[0] ?? '');
  const tail = halves.length === 2 ? ipv6Groups(halves[1] ?? '') : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

/** Null when the text is no address. Zones are not taken. */
export function parseAddress(text: string): Address | null {
  if (text.includes(':')) {
    const value = parseIpv6(text);
    return value === null ? null : { family: 6, value };
  }
  const value = parseIpv4(text);
  return value === null ? null : { family: 4, value };
}

function formatIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > best.length) best = { start: i, length: end - i };
    if (end > i) i = end - 1;
  }
  const hex = groups.map((g) => g.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

export function formatAddress(address: Address): string {
  if (address.family === 6) return formatIpv6(address.value);
  return [24n, 16n, 8n, 0n].map((shift) => ((address.value >> shift) & 0xffn).toString()).join('.');
}

/** Network byte order. */
export function addressBytes(address: Address): Buffer {
  const bytes = Buffer.alloc(bitsOf(address.family) / 8);
  for (let i = bytes.length - 1, rest = address.value; i >= 0; i--, rest >>= 8n)
    bytes[i] = Number(rest & 0xffn);
  return bytes;
}

export function maskOf(family: Family, length: number): bigint {
  const bits = BigInt(bitsOf(family));
  return ((1n << BigInt(length)) - 1n) << (bits - BigInt(length));
}

export function prefixOf(address: Address, length: number): Prefix {
  return { family: address.family, base: address.value & maskOf(address.family, length), length };
}

/** `10.9.0.1/24`; null when malformed. Host bits are kept in `address`. */
export function parseInterface(text: string): Interface | null {
  const slash = text.indexOf('/');
  const address = slash < 0 ? null : parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === null || !/^\d{1,3}$/.test(digits) || Number(digits) > bitsOf(address.family)) return null;
  return { address, prefix: prefixOf(address, Number(digits)) };
}

/** As `parseInterface`, but for settings. Errors: `invalidArgument` naming `what`. */
export function requireInterface(text: string, what: string): Interface {
  const parsed = parseInterface(text);
  if (parsed === null) throw new EngineError('invalidArgument', `${what}: invalid CIDR address: ${text}`);
  return parsed;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress({ family: prefix.family, value: prefix.base })}/${prefix.length}`;
}

export function lastOf(prefix: Prefix): bigint {
  return prefix.base | ((1n << BigInt(bitsOf(prefix.family) - prefix.length)) - 1n);
}

export function contains(prefix: Prefix, address: Address): boolean {
  return (
    prefix.family === address.family && (address.value & maskOf(prefix.family, prefix.length)) === prefix.base
  );
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && a.base <= lastOf(b) && b.base <= lastOf(a);
}

export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}

export function isUnspecified(address: Address): boolean {
  return address.value === 0n;
}

/**
 * `02:42:` and the four bytes of an IPv4 address: the same address always has the same MAC, so no neighbour
 * cache goes stale.
 */
export function macFromIpv4(address: Address): string {
  const hex = address.value.toString(16).padStart(8, '0');
  return `02:42:${hex.match(/../g)?.join(':') ?? ''}`;
}

/** Six groups of two hexadecimal digits, lower case; null when it is none or names a group of stations. */
export function parseMac(text: string): string | null {
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) return null;
  return mac;
}
