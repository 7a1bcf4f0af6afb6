import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { ServeOptions, TlsPaths } from './flags.ts';
import { readGiven } from './flags.ts';
import { answerPlainHttp } from './plain-on-tls.ts';

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

export interface Listener {
  /** `127.0.0.1:5000`. */
  readonly address: string;
  /** Reads the certificate again; open connections keep theirs. */
  reload(): Promise<void>;
  /** Takes no more connections and waits for the requests in progress, at most so long. */
  close(waitMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly address: ServeOptions['address'];
  readonly tls: TlsPaths | null;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** How long a connection may be silent. */
  readonly idleMs?: number;
  readonly maxConnections?: number;
}

async function certificate(paths: TlsPaths): Promise<{ cert: Buffer; key: Buffer }> {
  const [cert, key] = await Promise.all([
    readGiven(paths.cert, 'certificate'),
    readGiven(paths.key, 'key of the certificate'),
  ]);
  return { cert, key };
}

interface Made {
  readonly server: Server | TlsServer;
  /** Connections of which nobody knows yet whether they speak TLS, and those that do not. */
  readonly held: ReadonlySet<Socket>;
}

async function serverFor({ tls, handle, idleMs }: ListenOptions): Promise<Made> {
  const bounds = {
    headersTimeout: LIMITS.headerTimeoutMs,
    // A large blob may take hours; silence is what ends a connection.
    requestTimeout: 0,
    keepAliveTimeout: LIMITS.registryKeepAliveMs,
    maxHeaderSize: LIMITS.registryHeaderBlockBytes,
    // Bodies are written in pieces of this size.
    highWaterMark: 256 * 1024,
  };
  if (tls === null) return { server: createServer(bounds, handle), held: new Set() };
  try {
    const secured = { ...bounds, ...(await certificate(tls)), minVersion: 'TLSv1.2' as const };
    const server = createTlsServer(secured, handle);
    const waitMs = Math.min(idleMs ?? LIMITS.headerTimeoutMs, LIMITS.headerTimeoutMs);
    return { server, held: answerPlainHttp(server, waitMs) };
  } catch (error) {
    throw new EngineError(
      'invalidArgument',
      `certificate ${tls.cert}, key ${tls.key}: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}

async function bound(server: Server | TlsServer, { host, port }: ServeOptions['address']): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const why = errorCode(error) === 'EADDRINUSE' ? 'the address is in use' : errorMessage(error);
      reject(
        new EngineError('unavailable', `cannot listen on ${host ?? ''}:${port}: ${why}`, { cause: error }),
      );
    });
    server.listen({ port, ...(host !== undefined && { host }) }, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') return String(address);
  return address.family === 'IPv6'
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}

export async function listen(options: ListenOptions): Promise<Listener> {
  const { server, held } = await serverFor(options);
  // Those within a TLS handshake are in no list of the server.
  const all = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    all.add(socket);
    socket.once('close', () => all.delete(socket));
  });
  server.maxConnections = options.maxConnections ?? LIMITS.registryConnections;
  server.setTimeout(options.idleMs ?? LIMITS.registryServerIdleMs);
  // Clients that try HTTPS first take this answer for a sign that they should try without.
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end(BAD_REQUEST);
    else socket.destroy();
  });
  const address = await bound(server, options.address);
  return {
    address,
    reload: async () => {
      if (options.tls !== null && 'setSecureContext' in server)
        server.setSecureContext({ ...(await certificate(options.tls)), minVersion: 'TLSv1.2' });
    },
    close: async (waitMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      for (const socket of held) socket.destroy();
      const end = setTimeout(() => {
        server.closeAllConnections();
        for (const socket of all) socket.destroy();
      }, waitMs);
      await closed;
      clearTimeout(end);
    },
  };
}
