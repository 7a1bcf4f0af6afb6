import { AF } from './socket-address.ts';
import { check, type Sys } from './sys.ts';

export const SIOCGIFINDEX = 0x8933;
/** `struct ifreq`: the name, then the number. */
export const IFREQ_BYTES = 40;
export const IFREQ_NAME_BYTES = 16;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;

export function indexRequest(name: string): Buffer {
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name.slice(0, IFREQ_NAME_BYTES - 1), 'latin1');
  return request;
}

/**
 * By ioctl: rtnetlink would wait for the lock under which the kernel takes namespaces down, an ioctl for a
 * number does not. Any socket of the namespace will do.
 */
export function linkIndexBy(sys: Sys, socket: number, name: string): number {
  const request = indexRequest(name);
  check(sys.raw('ioctl', socket, SIOCGIFINDEX, request), 'SIOCGIFINDEX', name);
  return request.readInt32LE(IFREQ_NAME_BYTES);
}

/** In this process's namespace. */
export function linkIndex(sys: Sys, name: string): number {
  const socket = sys.call('link', 'socket', AF.UNIX, SOCK_DGRAM_CLOEXEC, 0);
  try {
    return linkIndexBy(sys, socket, name);
  } finally {
    sys.raw('close', socket);
  }
}
