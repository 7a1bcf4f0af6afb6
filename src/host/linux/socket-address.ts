import { errnoNumber, kernelError } from './errno.ts';

export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16 } as const;

/** The 4 or 16 bytes of a numeric address, in network order. */
export function addressBytes(address: string): Buffer {
  // Loaded when it is wanted: programs of one command have no addresses.
  const { isIPv4, isIPv6 } = process.getBuiltinModule('node:net');
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (!isIPv6(address) || address.includes('%')) throw kernelError(errnoNumber('EINVAL'), 'address', address);
  return ipv6Bytes(address);
}

function ipv6Bytes(address: string): Buffer {
  // An embedded IPv4 address becomes two groups.
  const text = address.replace(/\d+\.\d+\.\d+\.\d+$/, (v4) => {
    const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all =
    tail === undefined
      ? front
      : [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2);
  return bytes;
}

/** The usual text of 4 or 16 address bytes (RFC 5952). */
export function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const groups = Array.from({ length: 8 }, (_unused, index) => bytes.readUInt16BE(index * 2));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length += 1;
    if (length > best.length) best = { at, length };
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.at < 0) return hex(groups);
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
export function socketAddress(address: string, port: number): Buffer {
  const bytes = addressBytes(address);
  const v6 = bytes.length === 16;
  const buffer = Buffer.alloc(v6 ? 28 : 16);
  buffer.writeUInt16LE(v6 ? AF.INET6 : AF.INET, 0);
  buffer.writeUInt16BE(port, 2);
  bytes.copy(buffer, v6 ? 8 : 4);
  return buffer;
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.split(':').map((part) => Number.parseInt(part, 16)));
}

export function macText(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
