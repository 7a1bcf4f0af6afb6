import type { PortAddress, Sockets } from '../kernel.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { AF, socketAddress } from './socket-address.ts';
import { check, type Sys } from './sys.ts';

const SOCK = { STREAM: 1, DGRAM: 2, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const BACKLOG = 4096;
const FIRST_INHERITED = 3;

export function createSockets(sys: Sys): Sockets {
  return {
    holdPort: (address) => holdPort(sys, address),
    inherited: () => inherited(process.env),
    pair: () => {
      const fds = new Int32Array(2);
      sys.call(undefined, 'socketpair', AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC, 0, fds);
      return [fds[0] ?? -1, fds[1] ?? -1];
    },
    sendFds: (socket, fds, message = Buffer.alloc(1)) => {
      check(sys.native.sendFds(socket, Int32Array.from(fds), message), 'sendmsg');
    },
    receiveFds: async (socket) => {
      const received = await sys.native.receiveFds(socket);
      if (typeof received === 'number') throw kernelError(-received, 'recvmsg');
      const [fds, message] = received;
      if (message.length === 0) throw kernelError(errnoNumber('ECONNRESET'), 'recvmsg');
      return { fds, message };
    },
  };
}

/**
 * SO_REUSEADDR as the reference: a TCP port whose last connections linger can be had again. Not for UDP,
 * where it would let two owners share a port, nor where nobody listens, for the same reason.
 */
function holdPort(
  sys: Sys,
  { protocol, address, port, listen = true }: PortAddress,
): { fd: number; port: number } {
  const name = socketAddress(address, port);
  const v6 = name.length === 28;
  const label = v6 ? `[${address}]:${port}` : `${address}:${port}`;
  const stream = protocol !== 'udp';
  const type = (stream ? SOCK.STREAM : SOCK.DGRAM) | SOCK.CLOEXEC | SOCK.NONBLOCK;
  const fd = sys.call(label, 'socket', v6 ? AF.INET6 : AF.INET, type, PROTOCOLS[protocol]);
  try {
    const on = Buffer.from([1, 0, 0, 0]);
    if (v6) sys.call(label, 'setsockopt', fd, IPPROTO_IPV6, IPV6_V6ONLY, on, on.length);
    if (stream && listen) sys.call(label, 'setsockopt', fd, SOL_SOCKET, SO_REUSEADDR, on, on.length);
    sys.call(label, 'bind', fd, name, name.length);
    if (stream && listen) sys.call(label, 'listen', fd, BACKLOG);
    const size = Buffer.from([name.length, 0, 0, 0]);
    sys.call(label, 'getsockname', fd, name, size);
    return { fd, port: name.readUInt16BE(2) };
  } catch (error) {
    sys.raw('close', fd);
    throw error;
  }
}

/** sd_listen_fds(3). */
function inherited(env: NodeJS.ProcessEnv): readonly number[] {
  const count = env['LISTEN_PID'] === String(process.pid) ? Number(env['LISTEN_FDS'] ?? 0) : 0;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  return Number.isInteger(count) && count > 0
    ? Array.from({ length: count }, (_unused, index) => FIRST_INHERITED + index)
    : [];
}
