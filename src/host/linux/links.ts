import type { Links } from '../kernel.ts';
import { isKernelError } from '../kernel-error.ts';
import type { AddressRecord, Link, RouteRecord } from '../link-operations.ts';
import { parseAddress, parseLink, parseRoute } from './link-records.ts';
import { linkIndexBy } from './link-index.ts';
import { encodeLinkOperation, linkRequest, RTM } from './link-requests.ts';
import type { NetlinkMessage } from './netlink-message.ts';
import { NETLINK, type NetlinkDeps, NetlinkSocket, watchGroup } from './netlink-socket.ts';

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
        const indexOf = (name: string): number => linkIndexBy(deps.sys, socket.fd, name);
        for (const operation of operations) {
          for (const request of encodeLinkOperation(operation, indexOf)) socket.request(request);
        }
      }),
    list: (netns) => dump<Link>(netns, RTM.GETLINK, parseLink),
    find: (name, netns) => withSocket(netns, (socket) => findLink(socket, name)),
    addresses: (netns) => dump<AddressRecord>(netns, RTM.GETADDR, parseAddress),
    routes: (netns) => dump<RouteRecord>(netns, RTM.GETROUTE, parseRoute),
    watchRemovals: (listener) =>
      // Each link that comes is told a dozen times with all it has; nobody waits for these.
      watchGroup(deps, { protocol: NETLINK.ROUTE, group: RTNLGRP_LINK, only: RTM.DELLINK }, (messages) => {
        for (const message of messages ?? []) {
          const link = message.type === RTM.DELLINK ? parseLink(message) : null;
          if (link !== null) listener(link);
        }
      }),
  };
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
