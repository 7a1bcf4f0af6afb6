/**
 * Small words for rules: each gives the expressions of one condition. They are put together with the spread
 * operator.
 */
import type { Expression } from './firewall-operations.ts';
import { hostU32, interfaceName } from './linux/nft-codec.ts';
import { addressBytes } from './linux/socket-address.ts';

type Op = 'eq' | 'neq';

const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;
const CT_STATE = { invalid: 1, established: 2, related: 4, new: 8 } as const;
const CT_STATUS = { dnat: 1 << 5, snat: 1 << 4 } as const;
const FIB_TYPES = { local: 2, broadcast: 3, multicast: 5 } as const;
const NFPROTO = { 4: 2, 6: 10 } as const;

export function interfaceIs(key: 'iifname' | 'oifname', name: string, op: Op = 'eq'): readonly Expression[] {
  return [
    { kind: 'meta', key },
    { kind: 'compare', op, value: interfaceName(name) },
  ];
}

export function protocolIs(protocol: keyof typeof PROTOCOLS, op: Op = 'eq'): readonly Expression[] {
  return [
    { kind: 'meta', key: 'l4proto' },
    { kind: 'compare', op, value: Buffer.from([PROTOCOLS[protocol]]) },
  ];
}

/** In tables of the family `inet`, before any look at addresses. */
export function familyIs(family: 4 | 6): readonly Expression[] {
  return [
    { kind: 'meta', key: 'nfproto' },
    { kind: 'compare', op: 'eq', value: Buffer.from([NFPROTO[family]]) },
  ];
}

/** `cidr`: an address, or one with its prefix length. */
export function addressIn(side: 'saddr' | 'daddr', cidr: string, op: Op = 'eq'): readonly Expression[] {
  const [address = '', length] = cidr.split('/');
  const bytes = addressBytes(address);
  const mask = prefixMask(bytes.length, length === undefined ? bytes.length * 8 : Number(length));
  const network = Buffer.from(bytes.map((byte, index) => byte & (mask[index] ?? 0)));
  return [
    { kind: 'payload', field: bytes.length === 4 ? `ip ${side}` : `ip6 ${side}` },
    ...(mask.every((byte) => byte === 0xff) ? [] : [{ kind: 'bitwise', mask } as const]),
    { kind: 'compare', op, value: network },
  ];
}

function prefixMask(length: number, bits: number): Buffer {
  return Buffer.from(
    Array.from({ length }, (_unused, index) => 0xff & ~(0xff >> Math.max(0, Math.min(8, bits - index * 8)))),
  );
}

export function portIs(side: 'sport' | 'dport', port: number, op: Op = 'eq'): readonly Expression[] {
  const value = Buffer.alloc(2);
  value.writeUInt16BE(port);
  return [
    { kind: 'payload', field: `th ${side}` },
    { kind: 'compare', op, value },
  ];
}

/** Any of the states. */
export function stateIs(...states: readonly (keyof typeof CT_STATE)[]): readonly Expression[] {
  return hasBits(
    'state',
    states.reduce((bits, state) => bits | CT_STATE[state], 0),
  );
}

/** The connection was translated that way. */
export function statusIs(status: keyof typeof CT_STATUS): readonly Expression[] {
  return hasBits('status', CT_STATUS[status]);
}

function hasBits(key: 'state' | 'status', bits: number): readonly Expression[] {
  return [
    { kind: 'ct', key },
    { kind: 'bitwise', mask: hostU32(bits) },
    { kind: 'compare', op: 'neq', value: hostU32(0) },
  ];
}

export function destinationIs(type: keyof typeof FIB_TYPES, op: Op = 'eq'): readonly Expression[] {
  return [
    { kind: 'fib', of: 'daddr' },
    { kind: 'compare', op, value: hostU32(FIB_TYPES[type]) },
  ];
}
