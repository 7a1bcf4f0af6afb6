import { getServers } from 'node:dns';
import { STATUS_CODES } from 'node:http';
import { isIP } from 'node:net';
import { errorCode, errorMessage } from '#base/errors.ts';
import { RegistryError, type RegistryFailure } from '../errors.ts';

/*
 * What went wrong below HTTP, in the words of Go's client: scripts and people know them. The codes are those
 * of libuv and of Node's TLS.
 */

export type Phase = 'lookup' | 'connect' | 'handshake' | 'headers' | 'body';

/** Something that this room's own clock ended. */
export class Overdue extends Error {
  constructor(phase: Phase, target = '') {
    super(
      {
        lookup: `dial tcp: lookup ${target.replace(/:\d+$/, '')}: i/o timeout`,
        connect: `dial tcp ${target}: i/o timeout`,
        handshake: 'net/http: TLS handshake timeout',
        headers: 'context deadline exceeded',
        body: 'net/http: request canceled (Client.Timeout or context cancellation while reading body)',
      }[phase],
    );
    this.name = 'Overdue';
  }
}

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENETUNREACH: 'network is unreachable',
  EHOSTUNREACH: 'no route to host',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
};

const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
]);

interface Details {
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly host?: string;
  /** The two ends of a connection that stood: `127.0.0.1:40000->127.0.0.1:5000`. */
  readonly ends?: string;
  readonly rawPacket?: Buffer;
  /** What a proxy answered instead of making a tunnel. */
  readonly statusCode?: number;
  readonly cert?: { readonly subjectaltname?: string; readonly valid_to?: string };
}

/** The first of the failures where several addresses were tried. */
function root(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}

function addressText({ address = '', port = 0 }: Details): string {
  return `${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}

function lookup(details: Details, why: string): string {
  const [server = '127.0.0.1'] = getServers();
  return `dial tcp: lookup ${details.hostname ?? ''} on ${/:\d+$/.test(server) ? server : `${server}:53`}: ${why}`;
}

function altNames(details: Details): string {
  const host = details.host ?? '';
  const names = (details.cert?.subjectaltname ?? '').split(', ').filter((name) => name !== '');
  const of = (kind: string): string[] =>
    names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
  if (isIP(host) !== 0 && of('IP Address:').length === 0) {
    return `cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
  }
  const valid = isIP(host) === 0 ? of('DNS:') : of('IP Address:');
  return valid.length === 0
    ? `certificate is not valid for any names, but wanted to match ${host}`
    : `certificate is valid for ${valid.join(', ')}, not ${host}`;
}

function goTime(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

function certificate(code: string, details: Details): string | undefined {
  if (UNKNOWN_AUTHORITY.has(code)) return 'certificate signed by unknown authority';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return altNames(details);
  if (code !== 'CERT_HAS_EXPIRED' && code !== 'CERT_NOT_YET_VALID') return undefined;
  const until = details.cert?.valid_to;
  const moment =
    until === undefined || code === 'CERT_NOT_YET_VALID'
      ? ''
      : `: current time ${goTime(new Date())} is after ${goTime(new Date(until))}`;
  return `certificate has expired or is not yet valid${moment}`;
}

/** A failure of the handshake: its reason stands in a code of Node's, or in the text of OpenSSL. */
function handshake(code: string, message: string): string | undefined {
  const reason = code === 'EPROTO' ? (/SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? '') : code;
  const words = reason.toLowerCase().replaceAll('_', ' ');
  if (/wrong version number|packet length too long|http request|record too small/.test(words)) {
    return 'http: server gave HTTP response to HTTPS client';
  }
  const alert = /^(?:err ssl )?(?:tlsv1\.?\d?|sslv3) alert (.+)$/.exec(words)?.[1];
  return alert === undefined ? undefined : `remote error: tls: ${ALERTS[alert] ?? alert}`;
}

const ALERTS: Readonly<Record<string, string>> = { 'protocol version': 'protocol version not supported' };

function withoutCode(error: unknown): string {
  if (error instanceof Overdue) return error.message;
  const message = errorMessage(error);
  return /socket hang up|aborted|other side closed|disconnected before secure/.test(message)
    ? 'EOF'
    : message;
}

function brokenConnection(error: unknown, code: string, { ends }: Details): string {
  if (withoutCode(error) === 'EOF') return 'EOF';
  const [verb, why] = code === 'EPIPE' ? ['write', 'broken pipe'] : ['read', 'connection reset by peer'];
  return `${verb} tcp${ends === undefined ? '' : ` ${ends}`}: ${verb}: ${why}`;
}

function malformed({ rawPacket }: Details): string {
  const line = (rawPacket ?? Buffer.alloc(0))
    .subarray(0, 128)
    .toString('latin1')
    .replace(/\r?\n.*$/s, '');
  return `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${JSON.stringify(line)}`;
}

/** The innermost text: `dial tcp 127.0.0.1:1: connect: connection refused`. */
export function goReason(caught: unknown): string {
  const error = root(caught);
  const code = errorCode(error);
  const details = error as Details;
  if (code === undefined) return withoutCode(error);
  const system = SYSTEM[code];
  if (system !== undefined) return `dial tcp ${addressText(details)}: connect: ${system}`;
  if (code === 'ENOTFOUND') return lookup(details, 'no such host');
  if (code === 'EAI_AGAIN') return lookup(details, 'server misbehaving');
  if (code === 'ETIMEDOUT') return `dial tcp ${addressText(details)}: i/o timeout`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return brokenConnection(error, code, details);
  const x509 = certificate(code, details);
  if (x509 !== undefined) return `tls: failed to verify certificate: x509: ${x509}`;
  if (code === 'ERR_PROXY_TUNNEL') return STATUS_CODES[details.statusCode ?? 0] ?? withoutCode(error);
  if (code.startsWith('HPE_')) return malformed(details);
  return handshake(code, errorMessage(error)) ?? withoutCode(error);
}

function hintOf(reason: string): string | undefined {
  if (reason.includes('gave HTTP response to HTTPS client'))
    return 'If this registry has no TLS, name it in insecure-registries.';
  if (reason.includes('unknown authority'))
    return 'Put its CA into certs.d/<host>/ca.crt, or name it in insecure-registries.';
  if (reason.includes('certificate has expired'))
    return 'The registry needs a new certificate, unless the clock of this host is wrong.';
  if (/certificate is (?:not )?valid for/.test(reason))
    return 'The registry has a certificate for other names: use one of these, or ask for another certificate.';
  if (reason.startsWith('proxyconnect tcp: dial'))
    return 'This is about the proxy: see "proxies" in daemon.json, or HTTPS_PROXY in the daemon\'s environment.';
  if (reason.includes('connection refused'))
    return 'Nobody listens there: check the name and the port, and whether the registry runs.';
  if (/no such host|lookup .*: i\/o timeout/.test(reason))
    return 'Check the name, and the resolver of this host.';
  return undefined;
}

const PERMANENT = /x509|no such host|gave HTTP response|remote error: tls|connect: /;

/** How Go's client names a request: `Get "https://r.example/v2/"`. */
export function goRequest(method: string, url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return `${method.slice(0, 1)}${method.slice(1).toLowerCase()} ${JSON.stringify(shown.href)}`;
}

/** A request that got no answer, or none that could be used. */
export function requestError(
  request: { readonly method: string; readonly url: URL },
  reason: string,
  failure: Partial<RegistryFailure> = {},
): RegistryError {
  const hint = failure.hint ?? hintOf(reason);
  return new RegistryError(`${goRequest(request.method, request.url)}: ${reason}`, {
    status: 0,
    reason,
    permanent: PERMANENT.test(reason),
    ...failure,
    ...(hint === undefined ? {} : { hint }),
  });
}
