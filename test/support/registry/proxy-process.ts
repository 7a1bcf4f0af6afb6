/**
 * A proxy of its own process, inside of the network namespace of a test's daemon: it forwards requests and
 * makes tunnels, and writes down what it was asked for. It alone knows the names: whatever they are, they
 * lead to one address.
 */
import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer as serveSockets, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FromProxy, ProxyEntry, ToProxy } from './proxy.ts';

function say(message: FromProxy): void {
  process.send?.(message);
}

let entries: ProxyEntry[] = [];
let plan: Extract<ToProxy, { say: 'start' }>['plan'] | undefined;

function admit(request: IncomingMessage): boolean {
  const authorization = request.headers['proxy-authorization'] ?? '';
  entries.push({
    ...{ method: request.method ?? '', target: request.url ?? '', proxyAuthorization: authorization },
    authorization: request.headers.authorization ?? '',
  });
  if (plan?.user === undefined) return true;
  return authorization === `Basic ${Buffer.from(plan.user).toString('base64')}`;
}

function forward(request: IncomingMessage, response: ServerResponse): void {
  if (!admit(request)) return void response.writeHead(407, { 'proxy-authenticate': 'Basic realm="p"' }).end();
  const { hostname, port, pathname, search, host } = new URL(request.url ?? '');
  const { 'proxy-authorization': _own, 'proxy-connection': _kept, ...headers } = request.headers;
  const onward = ask({
    ...{ host: plan?.leadTo ?? hostname, port: port === '' ? 80 : Number(port) },
    ...{ method: request.method, path: `${pathname}${search}`, headers: { ...headers, host } },
  });
  onward.on('error', () => response.writeHead(502).end());
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  request.pipe(onward);
}

function tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => undefined);
  if (!admit(request)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
  const port = Number(/:(\d+)$/.exec(request.url ?? '')?.[1]);
  const onward: Socket = connect(port, plan?.leadTo ?? '', () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    onward.write(head);
    socket.pipe(onward).pipe(socket);
  });
  onward.on('error', () => socket.destroy());
  socket.on('close', () => onward.destroy());
}

/** Whole messages, one after the other: as short as they are they come in one piece. */
async function socks(socket: Socket): Promise<void> {
  const hear = async (): Promise<Buffer> => ((await once(socket, 'data')) as [Buffer])[0];
  const methods = await hear();
  const wanted = plan?.user === undefined ? 0 : 2;
  if (!methods.subarray(2).includes(wanted)) return void socket.end(Buffer.of(5, 255));
  socket.write(Buffer.of(5, wanted));
  let user = '';
  if (wanted === 2) {
    const said = await hear();
    const length = said[1] ?? 0;
    user = `${said.subarray(2, 2 + length).toString()}:${said.subarray(3 + length).toString()}`;
    if (user !== plan?.user) return void socket.end(Buffer.of(1, 1));
    socket.write(Buffer.of(1, 0));
  }
  const asked = await hear();
  const port = asked.readUInt16BE(asked.length - 2);
  const name = asked[3] === 3 ? asked.subarray(5, -2).toString() : [...asked.subarray(4, -2)].join('.');
  entries.push({ method: 'SOCKS', target: `${name}:${port}`, proxyAuthorization: user, authorization: '' });
  const onward = connect(port, plan?.leadTo ?? '', () => {
    socket.write(Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    socket.pipe(onward).pipe(socket);
  });
  onward.on('error', () => socket.destroy());
  socket.on('close', () => onward.destroy());
}

process.on('message', (message: ToProxy) => {
  if (message.say === 'ledger') {
    say({ say: 'ledger', entries });
    entries = [];
    return;
  }
  plan = message.plan;
  const { address, port, kind } = plan;
  if (kind === 'socks5') {
    const serve = (socket: Socket): void => {
      socket.on('error', () => undefined);
      void socks(socket);
    };
    serveSockets(serve).listen(port, address, () => say({ say: 'ready' }));
    return;
  }
  createServer(forward)
    .on('connect', tunnel)
    .listen(port, address, () => say({ say: 'ready' }));
});
process.on('disconnect', () => process.exit(0));
