import type { AddressRecord, Link, RouteRecord } from '../link-operations.ts';
import { attributes, type NetlinkMessage, textOf } from './netlink-message.ts';
import { IFA, IFF_UP, IFLA, IFLA_INFO_KIND, RTA, RTM } from './link-requests.ts';
import { addressText, AF, macText } from './socket-address.ts';

const ROUTE_UNICAST = 1;
const SCOPES: Readonly<Record<number, AddressRecord['scope']>> = { 0: 'global', 253: 'link', 254: 'host' };

export function parseLink({ type, payload }: NetlinkMessage): Link | null {
  if (type !== RTM.NEWLINK && type !== RTM.DELLINK) return null;
  // Bridge ports are announced once more in the bridge's own family, without most attributes.
  if (payload.readUInt8(0) === AF_BRIDGE) return null;
  const values = attributes(payload.subarray(16));
  return {
    index: payload.readInt32LE(4),
    name: textOf(values.get(IFLA.IFNAME)),
    kind: textOf(attributes(values.get(IFLA.LINKINFO)).get(IFLA_INFO_KIND)),
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: macText(values.get(IFLA.ADDRESS) ?? Buffer.alloc(0)),
    mtu: values.get(IFLA.MTU)?.readUInt32LE(0) ?? 0,
    master: values.get(IFLA.MASTER)?.readUInt32LE(0) ?? 0,
    alias: textOf(values.get(IFLA.IFALIAS)),
  };
}

const AF_BRIDGE = 7;

export function parseAddress({ type, payload }: NetlinkMessage): AddressRecord | null {
  if (type !== RTM.NEWADDR) return null;
  const family = payload.readUInt8(0);
  const values = attributes(payload.subarray(8));
  const address = values.get(IFA.LOCAL) ?? values.get(IFA.ADDRESS);
  if (address === undefined || (family !== AF.INET && family !== AF.INET6)) return null;
  return {
    linkIndex: payload.readUInt32LE(4),
    family: family === AF.INET ? 4 : 6,
    address: addressText(address),
    prefixLength: payload.readUInt8(1),
    scope: SCOPES[payload.readUInt8(3)] ?? 'other',
  };
}

export function parseRoute({ type, payload }: NetlinkMessage): RouteRecord | null {
  const family = payload.readUInt8(0);
  if (type !== RTM.NEWROUTE || payload.readUInt8(7) !== ROUTE_UNICAST) return null;
  if (family !== AF.INET && family !== AF.INET6) return null;
  const values = attributes(payload.subarray(12));
  const destination = values.get(RTA.DST) ?? Buffer.alloc(family === AF.INET ? 4 : 16);
  const gateway = values.get(RTA.GATEWAY);
  return {
    family: family === AF.INET ? 4 : 6,
    destination: `${addressText(destination)}/${payload.readUInt8(1)}`,
    gateway: gateway === undefined ? '' : addressText(gateway),
    linkIndex: values.get(RTA.OIF)?.readUInt32LE(0) ?? 0,
    table: values.get(RTA.TABLE)?.readUInt32LE(0) ?? payload.readUInt8(4),
  };
}
