import type { Links } from '../kernel.ts';
import { isKernelError } from '../kernel-error.ts';
import type { AddressRecord, Link, RouteRecord } from '../link-operations.ts';
import { parseAddress, parseLink, parseRoute } from './link-records.ts';
import { encodeLinkOperation, linkRequest, RTM } from './link-requests.ts';
import type { NetlinkMessage } from './netlink-message.ts';
import { NETLINK, type NetlinkDeps, NetlinkSocket, watchGroup } from './netlink-socket.ts';
import { check } from './sys.ts';

const RTNLGRP_LINK = 1;

export function createLinks(deps: NetlinkDeps): Links {
  const withSocket = <T>(netns: number | undefined, work: (socket: NetlinkSocket) => T): T => {
    const socket = new NetlinkSocket(deps, NETLINK.ROUTE, netns);
    try {
      return work(socket);
    } finally {
      socket.close();
    }
  };
  const dump = <T>(
    netns: number | undefined,
    type: number,
    parse: (message: NetlinkMessage) => T | null,
  ): readonly T[] =>
    withSocket(netns, (socket) =>
      socket
        .dump({ operation: 'dump', type, payload: Buffer.alloc(16) })
        .map(parse)
        .filter((record) => record !== null),
    );
  return {
    apply: (operations, netns) =>
      withSocket(netns, (socket) => {
        const indexOf = (name: string): number => linkIndex(deps, socket, name);
        for (const operation of operations) {
          for (const request of encodeLinkOperation(operation, indexOf)) socket.request(request);
        }
      }),
    list: (netns) => dump<Link>(netns, RTM.GETLINK, parseLink),
    find: (name, netns) => withSocket(netns, (socket) => findLink(socket, name)),
    addresses: (netns) => dump<AddressRecord>(netns, RTM.GETADDR, parseAddress),
    routes: (netns) => dump<RouteRecord>(netns, RTM.GETROUTE, parseRoute),
    watch: (listener) =>
      watchGroup(deps, { protocol: NETLINK.ROUTE, group: RTNLGRP_LINK }, (messages) => {
        for (const message of messages ?? []) {
          const link = parseLink(message);
          if (link !== null) listener({ kind: message.type === RTM.DELLINK ? 'removed' : 'changed', link });
        }
      }),
  };
}

const SIOCGIFINDEX = 0x8933;
const IFREQ_BYTES = 40;
const IFREQ_NAME_BYTES = 16;

/**
 * By ioctl: rtnetlink would wait for the lock under which the kernel takes namespaces down, an ioctl for a
 * number does not.
 */
function linkIndex({ sys }: NetlinkDeps, socket: NetlinkSocket, name: string): number {
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name.slice(0, IFREQ_NAME_BYTES - 1), 'latin1');
  check(sys.raw('ioctl', socket.fd, SIOCGIFINDEX, request), 'SIOCGIFINDEX', name);
  return request.readInt32LE(IFREQ_NAME_BYTES);
}

function findLink(socket: NetlinkSocket, name: string): Link | null {
  try {
    const [reply] = socket.request(linkRequest(RTM.GETLINK, name));
    return reply === undefined ? null : parseLink(reply);
  } catch (error) {
    if (isKernelError(error, 'ENODEV')) return null;
    throw error;
  }
}
