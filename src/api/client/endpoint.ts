import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { ConnectionError, ClientError } from './errors.ts';

/** Where a daemon listens. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly prefix: string };

export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** False: any server certificate will do. */
  readonly verify: boolean;
}

export const DEFAULT_HOST = 'unix:///run/gantry.sock';

/** `unix:///run/x.sock`, `tcp://host:2375`, `http://host:2375`. Errors name what is wrong. */
export function parseEndpoint(host: string): Endpoint {
  const at = host.indexOf('://');
  const scheme = host.slice(0, Math.max(at, 0));
  const rest = at < 0 ? '' : host.slice(at + 3);
  if (at < 0 || rest === '') throw new ClientError(`unable to parse docker host \`${host}\``);
  if (scheme === 'unix') return { kind: 'unix', path: rest };
  if (scheme !== 'tcp' && scheme !== 'http' && scheme !== 'https') {
    throw new ClientError(`cannot connect to ${host}: this client speaks unix:// and tcp://`);
  }
  const url = new URL(`http://${rest}`);
  const host6 = url.hostname.replace(/^\[|\]$/g, '');
  return {
    kind: 'tcp',
    host: host6,
    port: Number(url.port || 2375),
    prefix: url.pathname.replace(/\/$/, ''),
  };
}

/** As `DOCKER_CERT_PATH` lays them out. */
export function tlsFilesBelow(folder: string, verify: boolean): TlsFiles {
  return { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), verify };
}

function open(endpoint: Endpoint, tls: TlsFiles | undefined): Socket {
  if (endpoint.kind === 'unix') return connectPlain({ path: endpoint.path, allowHalfOpen: true });
  const { host, port } = endpoint;
  if (tls === undefined) return connectPlain({ host, port, allowHalfOpen: true, noDelay: true });
  const options: ConnectionOptions & { allowHalfOpen: boolean } = {
    host,
    port,
    servername: host,
    allowHalfOpen: true,
    rejectUnauthorized: tls.verify,
    ...(tls.ca !== undefined && tls.verify && { ca: readFileSync(tls.ca) }),
    ...(tls.cert !== undefined && { cert: readFileSync(tls.cert) }),
    ...(tls.key !== undefined && { key: readFileSync(tls.key) }),
  };
  return connectTls(options);
}

/** Connects; a failure is a `ConnectionError` with the text users know. */
export function connect(endpoint: Endpoint, host: string, tls?: TlsFiles): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = open(endpoint, tls);
    const ready = tls === undefined || endpoint.kind === 'unix' ? 'connect' : 'secureConnect';
    const failed = (error: NodeJS.ErrnoException): void => reject(new ConnectionError(host, error));
    socket.once('error', failed);
    socket.once(ready, () => {
      socket.off('error', failed);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
