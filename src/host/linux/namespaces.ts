import { fstatSync, openSync } from 'node:fs';
import type { IdMapping } from '#base/id-mapping.ts';
import type { Namespaces } from '../kernel.ts';
import { connectNetwork } from './connected-network.ts';
import { linkIndex } from './link-index.ts';
import { check, type Sys } from './sys.ts';

const CLONE_NEWNET = 0x40000000;

/** As /proc/PID/uid_map takes it. */
function mapText(mappings: readonly IdMapping[]): string {
  return mappings.map(({ containerId, hostId, size }) => `${containerId} ${hostId} ${size}\n`).join('');
}

export function createNamespaces(sys: Sys): Namespaces {
  let current: number | undefined;

  /** Where the thread is now; nested calls come back to the one around them. */
  function whereAmI(): number {
    current ??= openSync('/proc/thread-self/ns/net', 'r');
    return current;
  }

  return {
    createNetwork: async ({ userns } = {}) => {
      const { native } = sys;
      return check(
        await (userns === undefined ? native.createNetwork() : native.createNetworkIn(userns)),
        'unshare',
        'net',
      );
    },
    connectNetwork: async (netns, setup) => {
      await connectNetwork(sys, setup, { netns, indexOf: (name) => linkIndex(sys, name) });
    },
    createUser: async ({ uids, gids }) =>
      check(await sys.native.createUser(mapText(uids), mapText(gids)), 'unshare', 'user'),
    openNetwork: (pid) => openSync(`/proc/${pid}/ns/net`, 'r'),
    inNetwork: (netns, work) => {
      const before = whereAmI();
      sys.call('net', 'setns', netns, CLONE_NEWNET);
      current = netns;
      const wasAway = sys.isAway;
      sys.isAway = true;
      try {
        const result = work();
        if (result instanceof Promise) throw new TypeError('inNetwork: the work must not be asynchronous');
        return result;
      } finally {
        // A daemon in a container's network would do the host's work in the wrong place.
        if (sys.raw('setns', before, CLONE_NEWNET) < 0) process.abort();
        current = before;
        sys.isAway = wasAway;
      }
    },
    identity: (netns) => fstatSync(netns, { bigint: true }).ino,
  };
}
