/** ctnetlink: deleting tracked connections, linux/netfilter/nfnetlink_conntrack.h. */
import type { ConnectionFilter } from '../firewall-operations.ts';
import { isKernelError } from '../kernel-error.ts';
import { attribute, type Attributes, attributes } from './netlink-message.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { messageType, netfilterHeader, SUBSYSTEM } from './nft-transaction.ts';
import { addressBytes, AF } from './socket-address.ts';

const MSG = { GET: 1, DELETE: 2 } as const;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, ID: 12, ZONE: 18 } as const;
const TUPLE = { IP: 1, PROTO: 2 } as const;
const PROTO = { NUMBER: 1, DESTINATION_PORT: 3 } as const;
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
const NESTED = 0x8000;

function tupleMatches(values: Attributes, side: number, address: Buffer): boolean {
  const ip = attributes(attributes(values.get(side)).get(TUPLE.IP));
  return [...ip.values()].some((bytes) => bytes.equals(address));
}

function matches(values: Attributes, filter: ConnectionFilter): boolean {
  const original = attributes(attributes(values.get(CTA.TUPLE_ORIG)).get(TUPLE.PROTO));
  if (
    filter.protocol !== undefined &&
    original.get(PROTO.NUMBER)?.readUInt8(0) !== PROTOCOLS[filter.protocol]
  )
    return false;
  if (filter.port !== undefined && original.get(PROTO.DESTINATION_PORT)?.readUInt16BE(0) !== filter.port)
    return false;
  if (filter.address === undefined) return true;
  const address = addressBytes(filter.address);
  return tupleMatches(values, CTA.TUPLE_ORIG, address) || tupleMatches(values, CTA.TUPLE_REPLY, address);
}

function deleteOne(socket: NetlinkSocket, family: number, values: Attributes): boolean {
  const parts = [CTA.TUPLE_ORIG | NESTED, CTA.ID, CTA.ZONE].flatMap((type) => {
    const value = values.get(type & ~NESTED);
    return value === undefined ? [] : [attribute(type, value)];
  });
  try {
    socket.request({
      operation: 'CT_DELETE',
      type: messageType(SUBSYSTEM.CONNTRACK, MSG.DELETE),
      flags: 0,
      payload: Buffer.concat([netfilterHeader(family), ...parts]),
    });
    return true;
  } catch (error) {
    // It ended by itself meanwhile.
    if (isKernelError(error, 'ENOENT')) return false;
    throw error;
  }
}

export function forgetConnections(socket: NetlinkSocket, filter: ConnectionFilter): number {
  let count = 0;
  for (const family of [AF.INET, AF.INET6]) {
    const connections = socket.dump({
      operation: 'dump',
      object: 'conntrack',
      type: messageType(SUBSYSTEM.CONNTRACK, MSG.GET),
      payload: netfilterHeader(family),
    });
    for (const { payload } of connections) {
      const values = attributes(payload.subarray(4));
      if (matches(values, filter) && deleteOne(socket, family, values)) count += 1;
    }
  }
  return count;
}
