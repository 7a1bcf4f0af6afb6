/** rtnetlink messages: linux/rtnetlink.h, if_link.h, if_addr.h, veth.h. */
import type { LinkOperation } from '../link-operations.ts';
import { attribute, nested, NLM_F, text, u32, u8 } from './netlink-message.ts';
import type { Request } from './netlink-socket.ts';
import { addressBytes, AF, macBytes } from './socket-address.ts';

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  GETROUTE: 26,
} as const;

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  MASTER: 10,
  PROTINFO: 12,
  LINKINFO: 18,
  IFALIAS: 20,
  NET_NS_FD: 28,
} as const;

export const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const VETH_INFO_PEER = 1;
const IFLA_BRPORT_HAIRPIN = 4;
const IFLA_BRPORT_ISOLATED = 33;
export const IFF_UP = 1;
export const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4, FLAGS: 8 } as const;
const IFA_F_NODAD = 2;
export const RTA = { DST: 1, OIF: 4, GATEWAY: 5, TABLE: 15 } as const;
const AF_BRIDGE = 7;
const ROUTE = { TABLE_MAIN: 254, PROTOCOL_BOOT: 3, SCOPE_GLOBAL: 0, SCOPE_LINK: 253, UNICAST: 1 } as const;

interface LinkHeader {
  readonly family?: number;
  readonly index?: number;
  readonly flags?: number;
  readonly change?: number;
}

/** `struct ifinfomsg`. */
function linkHeader({ family = 0, index = 0, flags = 0, change = 0 }: LinkHeader): Buffer {
  const buffer = Buffer.alloc(16);
  buffer.writeUInt8(family, 0);
  buffer.writeInt32LE(index, 4);
  buffer.writeUInt32LE(flags, 8);
  buffer.writeUInt32LE(change, 12);
  return buffer;
}

interface LinkBody {
  readonly attributes?: readonly Buffer[];
  readonly header?: LinkHeader;
}

/** A request about a link, by name. */
export function linkRequest(
  type: number,
  name: string,
  { attributes = [], header = {} }: LinkBody = {},
): Request {
  const payload = Buffer.concat([linkHeader(header), text(IFLA.IFNAME, name), ...attributes]);
  return { operation: OPERATIONS[type] ?? 'link', object: name, type, flags: 0, payload };
}

const OPERATIONS: Readonly<Record<number, string>> = {
  [RTM.NEWLINK]: 'RTM_NEWLINK',
  [RTM.DELLINK]: 'RTM_DELLINK',
  [RTM.GETLINK]: 'RTM_GETLINK',
  [RTM.SETLINK]: 'RTM_SETLINK',
};

type IndexOf = (name: string) => number;
type Of<K extends LinkOperation['kind']> = Extract<LinkOperation, { kind: K }>;

/** The messages of one operation; `indexOf` asks the kernel where a message must carry a number. */
export function encodeLinkOperation(operation: LinkOperation, indexOf: IndexOf): readonly Request[] {
  switch (operation.kind) {
    case 'addBridge':
      return [addBridge(operation), ...alias(operation.name, operation.alias)];
    case 'addVeth':
      return [addVeth(operation, indexOf), ...describeVeth(operation)];
    case 'removeLink':
      return [linkRequest(RTM.DELLINK, operation.name)];
    case 'setUp':
      return [linkRequest(RTM.NEWLINK, operation.link, { header: { flags: IFF_UP, change: IFF_UP } })];
    case 'setDown':
      return [linkRequest(RTM.NEWLINK, operation.link, { header: { change: IFF_UP } })];
    case 'setAlias':
      return alias(operation.link, operation.alias);
    case 'setMaster':
      return [
        linkRequest(RTM.NEWLINK, operation.link, {
          attributes: [u32(IFLA.MASTER, operation.bridge === null ? 0 : indexOf(operation.bridge))],
        }),
      ];
    case 'setPort':
      return [setPort(operation, indexOf)];
    case 'addAddress':
    case 'removeAddress':
      return [changeAddress(operation, indexOf)];
    case 'addRoute':
      return [addRoute(operation, indexOf)];
    default:
      return operation satisfies never;
  }
}

/** The kernel takes no alias at creation. */
function alias(name: string, value: string | undefined): readonly Request[] {
  return value === undefined
    ? []
    : [linkRequest(RTM.SETLINK, name, { attributes: [attribute(IFLA.IFALIAS, Buffer.from(value))] })];
}

function portFlags({ hairpin, isolated }: Omit<Of<'setPort'>, 'kind' | 'link'>): Buffer[] {
  const flags: Buffer[] = [];
  if (hairpin !== undefined) flags.push(u8(IFLA_BRPORT_HAIRPIN, hairpin ? 1 : 0));
  if (isolated !== undefined) flags.push(u8(IFLA_BRPORT_ISOLATED, isolated ? 1 : 0));
  return flags;
}

/** What the kernel takes only when the link exists. */
function describeVeth({ name, alias, ...port }: Of<'addVeth'>): readonly Request[] {
  const attributes: Buffer[] = [];
  if (alias !== undefined) attributes.push(attribute(IFLA.IFALIAS, Buffer.from(alias)));
  const flags = portFlags(port);
  if (flags.length > 0) {
    attributes.push(
      nested(
        IFLA.LINKINFO,
        attribute(IFLA_INFO_SLAVE_KIND, Buffer.from('bridge')),
        nested(IFLA_INFO_SLAVE_DATA, ...flags),
      ),
    );
  }
  return attributes.length === 0 ? [] : [linkRequest(RTM.NEWLINK, name, { attributes })];
}

function created(request: Request): Request {
  return { ...request, flags: NLM_F.CREATE | NLM_F.EXCL };
}

function addBridge({ name, mac, mtu }: Of<'addBridge'>): Request {
  const body = [nested(IFLA.LINKINFO, attribute(IFLA_INFO_KIND, Buffer.from('bridge')))];
  if (mac !== undefined) body.push(attribute(IFLA.ADDRESS, macBytes(mac)));
  if (mtu !== undefined) body.push(u32(IFLA.MTU, mtu));
  return created(linkRequest(RTM.NEWLINK, name, { attributes: body }));
}

function addVeth({ name, bridge, mtu, peer }: Of<'addVeth'>, indexOf: IndexOf): Request {
  const far = [linkHeader({}), text(IFLA.IFNAME, peer.name), u32(IFLA.NET_NS_FD, peer.netns)];
  if (peer.mac !== undefined) far.push(attribute(IFLA.ADDRESS, macBytes(peer.mac)));
  if (mtu !== undefined) far.push(u32(IFLA.MTU, mtu));
  const veth = nested(
    IFLA.LINKINFO,
    attribute(IFLA_INFO_KIND, Buffer.from('veth')),
    nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, ...far)),
  );
  const body = [veth];
  if (bridge !== undefined) body.push(u32(IFLA.MASTER, indexOf(bridge)));
  if (mtu !== undefined) body.push(u32(IFLA.MTU, mtu));
  return created(
    linkRequest(RTM.NEWLINK, name, { attributes: body, header: { flags: IFF_UP, change: IFF_UP } }),
  );
}

function setPort({ link, ...flags }: Of<'setPort'>, indexOf: IndexOf): Request {
  const port = nested(IFLA.PROTINFO, ...portFlags(flags));
  const payload = Buffer.concat([linkHeader({ family: AF_BRIDGE, index: indexOf(link) }), port]);
  return { operation: 'RTM_SETLINK', object: link, type: RTM.SETLINK, flags: 0, payload };
}

function changeAddress(operation: Extract<LinkOperation, { address: string }>, indexOf: IndexOf): Request {
  const bytes = addressBytes(operation.address);
  const v6 = bytes.length === 16;
  const header = Buffer.alloc(8);
  header.writeUInt8(v6 ? AF.INET6 : AF.INET, 0);
  header.writeUInt8(operation.prefixLength, 1);
  header.writeUInt32LE(indexOf(operation.link), 4);
  const body = [header, attribute(IFA.LOCAL, bytes), attribute(IFA.ADDRESS, bytes)];
  if (v6) body.push(u32(IFA.FLAGS, IFA_F_NODAD));
  else if (operation.prefixLength < 31)
    body.push(attribute(IFA.BROADCAST, broadcast(bytes, operation.prefixLength)));
  const adding = operation.kind === 'addAddress';
  return {
    operation: adding ? 'RTM_NEWADDR' : 'RTM_DELADDR',
    object: `${operation.address}/${operation.prefixLength}`,
    type: adding ? RTM.NEWADDR : RTM.DELADDR,
    flags: adding ? NLM_F.CREATE | NLM_F.EXCL : 0,
    payload: Buffer.concat(body),
    linkIndex: { link: operation.link, offset: 4 },
  };
}

function broadcast(address: Buffer, prefixLength: number): Buffer {
  const result = Buffer.alloc(4);
  const hosts = 0xffffffff >>> prefixLength;
  result.writeUInt32BE((address.readUInt32BE(0) | hosts) >>> 0);
  return result;
}

function addRoute({ link, destination, gateway }: Of<'addRoute'>, indexOf: IndexOf): Request {
  const [address = '', length = ''] = destination.split('/');
  const bytes = addressBytes(address);
  const prefixLength = Number(length);
  const header = Buffer.alloc(12);
  header.writeUInt8(bytes.length === 16 ? AF.INET6 : AF.INET, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt8(ROUTE.TABLE_MAIN, 4);
  header.writeUInt8(ROUTE.PROTOCOL_BOOT, 5);
  header.writeUInt8(gateway === undefined ? ROUTE.SCOPE_LINK : ROUTE.SCOPE_GLOBAL, 6);
  header.writeUInt8(ROUTE.UNICAST, 7);
  const body = [header, u32(RTA.OIF, indexOf(link))];
  if (prefixLength > 0) body.push(attribute(RTA.DST, bytes));
  if (gateway !== undefined) body.push(attribute(RTA.GATEWAY, addressBytes(gateway)));
  return {
    operation: 'RTM_NEWROUTE',
    object: destination,
    type: RTM.NEWROUTE,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    payload: Buffer.concat(body),
    // The first attribute's value.
    linkIndex: { link, offset: header.length + 4 },
  };
}
