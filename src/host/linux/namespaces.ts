import { fstatSync, openSync } from 'node:fs';
import type { Namespaces } from '../kernel.ts';
import { check, type Sys } from './sys.ts';

const CLONE_NEWNET = 0x40000000;

export function createNamespaces(sys: Sys): Namespaces {
  let current: number | undefined;

  /** Where the thread is now; nested calls come back to the one around them. */
  function whereAmI(): number {
    current ??= openSync('/proc/thread-self/ns/net', 'r');
    return current;
  }

  return {
    createNetwork: async () => check(await sys.native.createNetwork(), 'unshare', 'net'),
    openNetwork: (pid) => openSync(`/proc/${pid}/ns/net`, 'r'),
    inNetwork: (netns, work) => {
      const before = whereAmI();
      sys.call('net', 'setns', netns, CLONE_NEWNET);
      current = netns;
      try {
        const result = work();
        if (result instanceof Promise) throw new TypeError('inNetwork: the work must not be asynchronous');
        return result;
      } finally {
        // A daemon in a container's network would do the host's work in the wrong place.
        if (sys.raw('setns', before, CLONE_NEWNET) < 0) process.abort();
        current = before;
      }
    },
    identity: (netns) => fstatSync(netns, { bigint: true }).ino,
  };
}
