/*
 * Everything that a network namespace gets, made by one batch of calls on one thread: the links from ours,
 * then the inside from there. The main thread never waits for the kernel's lock over all links, which others
 * hold for milliseconds.
 */
import type { NetworkSetup } from '../kernel.ts';
import { check, type Call, type Sys } from './sys.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { IFREQ_NAME_BYTES, indexRequest, SIOCGIFINDEX } from './link-index.ts';
import { encodeLinkOperation } from './link-requests.ts';
import { decodeMessages, encodeMessage, HEADER_BYTES, NLM_F } from './netlink-message.ts';
import { NETLINK, refusalOf, type Request } from './netlink-socket.ts';
import { AF } from './socket-address.ts';
import { O, AT } from './file-paths.ts';

const CLONE_NEWNET = 0x40000000;
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const SOL_NETLINK = 270;
const NETLINK_OPTIONS = [10, 11] as const; // CAP_ACK, EXT_ACK
const REPLY_BYTES = 4096;

/** Requests as one message for the kernel, which answers only what it refuses. */
function joinRequests(requests: readonly Request[]): Buffer {
  const messages = requests.map(({ type, flags, payload }, index) =>
    encodeMessage({ type, flags: flags | NLM_F.REQUEST, sequence: index + 1, payload }),
  );
  return Buffer.concat(messages);
}

/** The calls so far; an index is the place of a call's result. */
class Batch {
  readonly calls: Call[] = [];

  add(...call: Call): number {
    this.calls.push(call);
    return this.calls.length - 1;
  }
}

interface Side {
  readonly requests: readonly Request[];
  readonly reply: Buffer;
  readonly sent: number;
  readonly received: number;
}

interface Talk {
  readonly socket: number;
  readonly requests: readonly Request[];
  readonly message: Buffer;
}

function talk(batch: Batch, { socket, requests, message }: Talk): Side {
  const reply = Buffer.alloc(REPLY_BYTES);
  const sent = batch.add('sendto', [socket], message, message.length, 0, null, 0);
  const received = batch.add('recvfrom', [socket], reply, reply.length, 0, null, null);
  batch.add('close', [socket]);
  return { requests, reply, sent, received };
}

/** The protocol is 0: `after` may name a call that gives 0, without which nothing is opened. */
function openSocket(batch: Batch, after?: number): number {
  const route = after === undefined ? NETLINK.ROUTE : ([after] as const);
  const socket = batch.add('socket', AF.NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, route);
  const one = Buffer.alloc(4);
  one.writeUInt32LE(1);
  for (const option of NETLINK_OPTIONS)
    batch.add('setsockopt', [socket], SOL_NETLINK, option, one, one.length);
  return socket;
}

/** Numbers of links that exist only once the batch runs. */
function fillIndexes(batch: Batch, { socket, requests, message }: Talk): void {
  const names = new Map<string, Buffer>();
  let at = 0;
  for (const { payload, linkIndex } of requests) {
    if (linkIndex !== undefined) {
      let found = names.get(linkIndex.link);
      if (found === undefined) {
        found = indexRequest(linkIndex.link);
        batch.add('ioctl', [socket], SIOCGIFINDEX, found);
        names.set(linkIndex.link, found);
      }
      batch.add('copy', message, at + HEADER_BYTES + linkIndex.offset, found, IFREQ_NAME_BYTES);
    }
    at += HEADER_BYTES + ((payload.length + 3) & ~3);
  }
}

/** Throws what the kernel has against a side's requests. */
function checkSide(side: Side, results: readonly number[]): void {
  check(results[side.sent] ?? 0, 'sendto', 'netlink');
  const received = results[side.received] ?? 0;
  if (received === -errnoNumber('EAGAIN')) return;
  for (const message of decodeMessages(side.reply.subarray(0, check(received, 'recvfrom', 'netlink')))) {
    const refusal = refusalOf(message);
    if (refusal === null) continue;
    const request = side.requests[refusal.sequence - 1];
    const object = [request?.object ?? '', refusal.explanation].filter((part) => part !== '').join(': ');
    throw kernelError(refusal.errno, request?.operation ?? 'netlink', object === '' ? undefined : object);
  }
}

interface Setting {
  readonly name: string;
  readonly opened: number;
  readonly written: number;
}

function writeSysctls(batch: Batch, sysctls: NonNullable<NetworkSetup['sysctls']>, after: number): Setting[] {
  return sysctls.map(([name, value]) => {
    const bytes = Buffer.from(value);
    const file = batch.add('openat', AT.FDCWD, `/proc/sys/${name}`, O.WRONLY | O.CLOEXEC, [after]);
    const written = batch.add('write', [file], bytes, bytes.length);
    batch.add('close', [file]);
    return { name, opened: file, written };
  });
}

interface Where {
  readonly netns: number;
  /** The number of a link that is there already, in our own namespace. */
  readonly indexOf: (name: string) => number;
}

export async function connectNetwork(sys: Sys, setup: NetworkSetup, where: Where): Promise<void> {
  const batch = new Batch();
  const outside = (setup.outside ?? []).flatMap((operation) => encodeLinkOperation(operation, where.indexOf));
  const inside = (setup.inside ?? []).flatMap((operation) => encodeLinkOperation(operation, () => 0));
  const sides: Side[] = [];
  if (outside.length > 0) {
    const socket = openSocket(batch);
    sides.push(talk(batch, { socket, requests: outside, message: joinRequests(outside) }));
  }
  const entered = batch.add('setns', where.netns, CLONE_NEWNET);
  // What takes its 0 as an argument is skipped when the thread is still in our own namespace.
  const sysctls = writeSysctls(batch, setup.sysctls ?? [], entered);
  if (inside.length > 0) {
    const socket = openSocket(batch, entered);
    const message = joinRequests(inside);
    fillIndexes(batch, { socket, requests: inside, message });
    sides.push(talk(batch, { socket, requests: inside, message }));
  }
  const results = await sys.onOwnThread(batch.calls);
  check(results[entered] ?? 0, 'setns', 'net');
  for (const side of sides) checkSide(side, results);
  for (const { name, opened, written } of sysctls) {
    // A kernel without IPv6 has no such setting, which is what the setting asks for.
    if (results[opened] === -errnoNumber('ENOENT')) continue;
    check(results[opened] ?? 0, 'open', name);
    check(results[written] ?? 0, 'write', name);
  }
}
