import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces, Watch } from '../kernel.ts';
import { errnoNumber, kernelError } from './errno.ts';
import {
  attributes,
  decodeMessages,
  encodeMessage,
  HEADER_BYTES,
  type NetlinkMessage,
  NLM_F,
  NLMSG,
  textOf,
} from './netlink-message.ts';
import { AF } from './socket-address.ts';
import { check, type Sys } from './sys.ts';

export const NETLINK = { ROUTE: 0, NETFILTER: 12 } as const;

const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_OPTION = { ADD_MEMBERSHIP: 1, CAP_ACK: 10, EXT_ACK: 11 } as const;
const RECEIVE_BYTES = 128 * 1024;
const RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024;
const ATTRIBUTE_MESSAGE = 1;
const DUMP_TRIES = 10;

export interface Request {
  /** For error messages: what is done to what. */
  readonly operation: string;
  readonly object?: string | undefined;
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
  /** Where in the payload the number of a link stands. */
  readonly linkIndex?: { readonly link: string; readonly offset: number };
}

export interface NetlinkDeps {
  readonly sys: Sys;
  readonly namespaces: Pick<Namespaces, 'inNetwork'>;
}

/** A failure message of the kernel: errno, and its explanation where it has one. */
export interface Refusal {
  readonly sequence: number;
  readonly errno: number;
  readonly explanation: string;
}

/**
 * One netlink socket. The kernel does the work while it takes the message, so replies are there when the send
 * returns and nothing here waits.
 */
export class NetlinkSocket {
  readonly #sys: Sys;
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(RECEIVE_BYTES);
  #sequence = 0;

  constructor({ sys, namespaces }: NetlinkDeps, protocol: number, netns?: number) {
    const open = (): number => sys.call('netlink', 'socket', AF.NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, protocol);
    this.#sys = sys;
    this.#fd = netns === undefined ? open() : namespaces.inNetwork(netns, open);
    this.#option(SOL_NETLINK, NETLINK_OPTION.CAP_ACK, 1);
    this.#option(SOL_NETLINK, NETLINK_OPTION.EXT_ACK, 1);
  }

  close(): void {
    this.#sys.raw('close', this.#fd);
  }

  get fd(): number {
    return this.#fd;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** Sends one message and throws what the kernel has against it; gives what it answered. */
  request(request: Request): readonly NetlinkMessage[] {
    const sequence = this.nextSequence();
    this.send(encodeMessage({ ...request, flags: request.flags | NLM_F.REQUEST | NLM_F.ACK, sequence }));
    const replies = this.receive();
    for (const reply of replies) throwRefusal(reply, request);
    return replies.filter((reply) => reply.type !== NLMSG.ERROR);
  }

  /** Asks for a whole table, again when it changed meanwhile. */
  dump(request: Omit<Request, 'flags'>): readonly NetlinkMessage[] {
    for (let attempt = 1; ; attempt += 1) {
      const sequence = this.nextSequence();
      this.send(encodeMessage({ ...request, flags: NLM_F.REQUEST | NLM_F.DUMP, sequence }));
      const messages = this.#receiveDump({ ...request, flags: 0 });
      const interrupted = messages.some((message) => (message.flags & NLM_F.DUMP_INTERRUPTED) !== 0);
      if (!interrupted || attempt === DUMP_TRIES)
        return messages.filter((message) => message.type !== NLMSG.DONE);
    }
  }

  send(bytes: Buffer): void {
    if (bytes.length > RECEIVE_BYTES / 2) this.#option(SOL_SOCKET, SO_SNDBUFFORCE, bytes.length * 2);
    check(this.#sys.raw('sendto', this.#fd, bytes, bytes.length, 0, null, 0), 'sendto', 'netlink');
  }

  /** Everything that is there. ENOBUFS (messages were lost) is thrown. */
  receive(): readonly NetlinkMessage[] {
    const messages: NetlinkMessage[] = [];
    for (;;) {
      const length = this.#sys.raw('recvfrom', this.#fd, this.#buffer, this.#buffer.length, 0, null, null);
      if (length === -errnoNumber('EAGAIN')) return messages;
      messages.push(
        ...decodeMessages(Buffer.from(this.#buffer.subarray(0, check(length, 'recvfrom', 'netlink')))),
      );
    }
  }

  subscribe(group: number): void {
    this.#option(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_QUEUE_BYTES);
    // Without a port of its own the socket counts as the kernel's, whom no broadcast reaches.
    const any = Buffer.alloc(12);
    any.writeUInt16LE(AF.NETLINK, 0);
    this.#sys.call('netlink', 'bind', this.#fd, any, any.length);
    const value = Buffer.alloc(4);
    value.writeUInt32LE(group);
    this.#sys.call(
      'netlink',
      'setsockopt',
      this.#fd,
      SOL_NETLINK,
      NETLINK_OPTION.ADD_MEMBERSHIP,
      value,
      value.length,
    );
  }

  /** A dump goes on while its parts are read, so it ends with its last message, not with an empty queue. */
  #receiveDump(request: Request): readonly NetlinkMessage[] {
    const all: NetlinkMessage[] = [];
    for (;;) {
      const part = this.receive();
      for (const message of part) throwRefusal(message, request);
      all.push(...part);
      if (part.length === 0 || part.at(-1)?.type === NLMSG.DONE) return all;
    }
  }

  /** Best effort: a value that cannot be set costs explanations or room, not correctness. */
  #option(level: number, option: number, value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    this.#sys.raw('setsockopt', this.#fd, level, option, buffer, buffer.length);
  }
}

export function refusalOf(message: NetlinkMessage): Refusal | null {
  if (message.type !== NLMSG.ERROR && message.type !== NLMSG.DONE) return null;
  const errno = message.payload.length < 4 ? 0 : -message.payload.readInt32LE(0);
  if (errno <= 0) return null;
  const hasText = message.type === NLMSG.ERROR && (message.flags & NLM_F.ACK_TLVS) !== 0;
  const found = hasText
    ? attributes(message.payload.subarray(4 + HEADER_BYTES)).get(ATTRIBUTE_MESSAGE)
    : undefined;
  const sequence = message.type === NLMSG.ERROR ? message.payload.readUInt32LE(4 + 8) : message.sequence;
  return { sequence, errno, explanation: textOf(found) };
}

function throwRefusal(message: NetlinkMessage, request: Request): void {
  const refusal = refusalOf(message);
  if (refusal === null) return;
  const object = [request.object ?? '', refusal.explanation].filter((part) => part !== '').join(': ');
  throw kernelError(refusal.errno, request.operation, object === '' ? undefined : object);
}

const SO_ATTACH_FILTER = 26;

/** Lets the kernel drop all messages but those of one type: struct sock_fprog, and classic BPF beside it. */
async function receiveOnly(sys: Sys, fd: number, type: number): Promise<void> {
  // The filter loads in the order of the network, which is not the order of the message.
  const wanted = ((type & 0xff) << 8) | (type >> 8);
  const program = [
    [0x28, 0, 0, 4], // half a word at 4: nlmsg_type
    [0x15, 0, 1, wanted], // equal: the next; else skip one
    [0x06, 0, 0, 0xffffffff], // all of it
    [0x06, 0, 0, 0], // nothing of it
  ] as const;
  const code = Buffer.alloc(program.length * 8);
  for (const [at, [operation, yes, no, value]] of program.entries()) {
    code.writeUInt16LE(operation, at * 8);
    code.writeUInt8(yes, at * 8 + 2);
    code.writeUInt8(no, at * 8 + 3);
    code.writeUInt32LE(value, at * 8 + 4);
  }
  const header = Buffer.alloc(16);
  header.writeUInt16LE(program.length, 0);
  // Best effort: who watches looks at the type, too.
  await sys.onOwnThread([
    ['point', header, 8, code],
    ['setsockopt', fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length],
  ]);
}

/** How long messages are gathered after some came; nobody who watches is in more of a hurry. */
const GATHER_MS = 20;
const POLLIN = 1;
const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;

/**
 * Calls back on the main thread whenever messages of the group arrive; null stands for "some were lost". A
 * thread waits for them, since node can poll no netlink socket.
 */
export function watchGroup(
  deps: NetlinkDeps,
  source: { readonly protocol: number; readonly group: number; readonly only?: number },
  listener: (messages: readonly NetlinkMessage[] | null) => void,
): Watch {
  const { sys } = deps;
  const socket = new NetlinkSocket(deps, source.protocol);
  socket.subscribe(source.group);
  const stop = sys.call('watch', 'eventfd2', 0, EFD_CLOEXEC_NONBLOCK);
  let closed = false;

  async function run(): Promise<void> {
    const polled = Buffer.alloc(16);
    polled.writeInt32LE(socket.fd, 0);
    polled.writeInt16LE(POLLIN, 4);
    polled.writeInt32LE(stop, 8);
    polled.writeInt16LE(POLLIN, 12);
    if (source.only !== undefined) await receiveOnly(sys, socket.fd, source.only);
    while (!closed) {
      await sys.wait('ppoll', polled, 2, null, null, 0);
      if (closed) break;
      listener(receiveOrLost(socket));
      // One container's links bring a dozen messages: they are looked at together.
      await sleep(GATHER_MS, undefined, { ref: false });
    }
    socket.close();
    sys.raw('close', stop);
  }

  void run();
  return {
    close: () => {
      if (closed) return;
      closed = true;
      sys.raw('write', stop, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), 8);
    },
  };
}

function receiveOrLost(socket: NetlinkSocket): readonly NetlinkMessage[] | null {
  try {
    return socket.receive();
  } catch {
    return null;
  }
}
