import type { Agent as HttpAgent, ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import { errorMessage } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/*
 * Connections by way of a SOCKS5 proxy (RFC 1928), with a name and a password (RFC 1929) where its address
 * has them. As with Go's client it is the proxy that looks names up.
 */

const VERSION = 5;
const PASSWORD_VERSION = 1;
const NO_PASSWORD = 0;
const PASSWORD = 2;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const DEFAULT_PORT = 1080;
const LONGEST_TEXT = 255;

/** By the number that the proxy answers. */
const REFUSALS = [
  'succeeded',
  'general SOCKS server failure',
  'connection not allowed by ruleset',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'TTL expired',
  'command not supported',
  'address type not supported',
];

interface Target {
  readonly host: string;
  readonly port: number;
}

export function isSocks(proxy: string): boolean {
  return /^socks5h?:\/\//i.test(proxy);
}

function textOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > LONGEST_TEXT) throw new Error(`more than ${LONGEST_TEXT} bytes for a SOCKS proxy`);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

/** The eight groups of two bytes, also where some are left out or written as an IPv4 address. */
function ipv6Bytes(host: string): Buffer {
  const groups = new URL(`http://[${host}]/`).hostname.slice(1, -1).split('::');
  const parts = groups.map((half) => half.split(':').filter((group) => group !== ''));
  const [head = [], tail = []] = parts;
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return Buffer.from([...head, ...zeros, ...tail].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** As the request to connect names it. Errors: a name that is too long. */
export function targetBytes({ host, port }: Target): Buffer {
  const kind = isIP(host);
  const address =
    kind === 0
      ? [Buffer.of(NAME), textOf(host)]
      : [
          Buffer.of(kind === 4 ? IPV4 : IPV6),
          kind === 4 ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host),
        ];
  return Buffer.concat([...address, Buffer.of(port >> 8, port & 0xff)]);
}

const NEWS = ['readable', 'end', 'close', 'error'] as const;

/** What the proxy says, piece by piece; what comes after that is left in the socket. */
class Answers {
  readonly #socket: Socket;
  #held = Buffer.alloc(0);
  #wake = (): void => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    for (const name of NEWS) socket.on(name, this.#hear);
  }

  readonly #hear = (): void => this.#wake();

  /** No more is read than it takes, give or take the socket's own buffer. */
  async take(length: number): Promise<Buffer> {
    while (this.#held.length < length) {
      const bytes = this.#socket.read() as Buffer | null;
      if (bytes !== null) this.#held = Buffer.concat([this.#held, bytes]);
      else if (this.#socket.errored !== null) throw this.#socket.errored;
      else if (this.#socket.readableEnded || this.#socket.destroyed) throw new Error('EOF');
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  release(): void {
    for (const name of NEWS) this.#socket.off(name, this.#hear);
    if (this.#held.length > 0 && !this.#socket.readableEnded) this.#socket.unshift(this.#held);
  }
}

async function authenticate(socket: Socket, answers: Answers, proxy: URL): Promise<void> {
  const hasPassword = proxy.username !== '' || proxy.password !== '';
  const methods = hasPassword ? [NO_PASSWORD, PASSWORD] : [NO_PASSWORD];
  socket.write(Buffer.of(VERSION, methods.length, ...methods));
  const [version, method = -1] = await answers.take(2);
  if (version !== VERSION) throw new Error(`unexpected protocol version ${version}`);
  if (!methods.includes(method)) throw new Error('no acceptable authentication methods');
  if (method === NO_PASSWORD) return;
  const [name, password] = [proxy.username, proxy.password].map(decodeURIComponent);
  socket.write(Buffer.concat([Buffer.of(PASSWORD_VERSION), textOf(name ?? ''), textOf(password ?? '')]));
  const [, status] = await answers.take(2);
  if (status !== 0) throw new Error('username/password authentication failed');
}

async function ask(socket: Socket, answers: Answers, target: Target): Promise<void> {
  socket.write(Buffer.concat([Buffer.of(VERSION, CONNECT, 0), targetBytes(target)]));
  const [version, reply = -1, , kind] = await answers.take(4);
  if (version !== VERSION) throw new Error(`unexpected protocol version ${version}`);
  if (reply !== 0) throw new Error(`unknown error ${REFUSALS[reply] ?? `unknown code: ${reply}`}`);
  // Where the proxy's own end is: nobody asks.
  const lengths = new Map([
    [IPV4, 4],
    [IPV6, 16],
  ]);
  const length = kind === NAME ? (await answers.take(1))[0] : lengths.get(kind ?? 0);
  if (length === undefined) throw new Error(`unknown address type ${kind}`);
  await answers.take(length + 2);
}

/** Errors: the system's, for the proxy itself. */
function opened(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
}

/** Errors, in the words of Go's client: the system's for the proxy itself, what the proxy says. */
export async function connectBy(address: string, target: Target): Promise<Socket> {
  const proxy = new URL(address);
  const hostname = proxy.hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host: hostname,
    port: proxy.port === '' ? DEFAULT_PORT : Number(proxy.port),
    noDelay: true,
  });
  const ignore = (): void => undefined;
  socket.on('error', ignore);
  const overdue = (): void => void socket.destroy(new Error('i/o timeout'));
  const patience = setTimeout(overdue, LIMITS.registryConnectMs);
  try {
    await opened(socket);
    const answers = new Answers(socket);
    await negotiated(socket, { answers, proxy, target });
    answers.release();
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(patience);
    socket.off('error', ignore);
  }
}

interface Negotiation {
  readonly answers: Answers;
  readonly proxy: URL;
  readonly target: Target;
}

async function negotiated(socket: Socket, { answers, proxy, target }: Negotiation): Promise<void> {
  try {
    await authenticate(socket, answers, proxy);
    await ask(socket, answers, target);
  } catch (error) {
    const { host, port } = target;
    const ends = `${proxy.host}->${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    throw new Error(`socks connect tcp ${ends}: ${errorMessage(error)}`, { cause: error });
  }
}

/** The agent itself, whose connections go by way of the proxy from now on. */
export function bySocks<A extends HttpAgent>(agent: A, proxy: string): A {
  const direct = agent.createConnection.bind(agent);
  const make = async (options: ClientRequestArgs): Promise<Socket> => {
    const host = (options.host ?? '').replace(/^\[|\]$/g, '');
    const socket = await connectBy(proxy, { host, port: Number(options.port) });
    if (!(agent instanceof HttpsAgent)) return socket;
    return direct({ ...options, socket } as ClientRequestArgs) as Socket;
  };
  agent.createConnection = (options, made) => {
    make(options).then(
      (socket) => made?.(null, socket),
      // Node hands the error on and looks at nothing else.
      (error: Error) => (made as ((error: Error) => void) | undefined)?.(error),
    );
    return undefined;
  };
  return agent;
}
