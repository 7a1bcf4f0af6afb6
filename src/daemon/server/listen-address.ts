import { EngineError } from '#base/errors.ts';
import type { ListenAddress } from './listen.ts';

const PLAIN_PORT = 2375;
const TLS_PORT = 2376;

const bad = (host: string, why: string): EngineError =>
  new EngineError('invalidArgument', `invalid bind address (${host}): ${why}`);

/** One `-H`: `unix://PATH`, `tcp://[HOST][:PORT]`, `fd://[NAME]`, or a path or `HOST:PORT` alone. */
export function parseListenAddress(host: string, tls = false): ListenAddress {
  const at = host.indexOf('://');
  const scheme = at < 0 ? (host.startsWith('/') ? 'unix' : 'tcp') : host.slice(0, at);
  const rest = at < 0 ? host : host.slice(at + 3);
  if (scheme === 'fd') return { kind: 'fd', name: rest };
  if (scheme === 'unix') {
    const path = rest === '' ? '/run/gantry.sock' : rest;
    if (!path.startsWith('/')) throw bad(host, 'a unix socket is named by an absolute path');
    return { kind: 'unix', path };
  }
  if (scheme !== 'tcp') throw bad(host, `unsupported proto '${scheme}'`);
  const match = /^(\[[0-9a-fA-F:.]*\]|[^:/]*)(?::(\d{1,5}))?\/?$/.exec(rest);
  const port = Number(match?.[2] ?? (tls ? TLS_PORT : PLAIN_PORT));
  if (match === null || port > 65535) throw bad(host, `should be of the form tcp://HOST:PORT`);
  return { kind: 'tcp', host: (match[1] ?? '').replace(/^\[|\]$/g, '') || '127.0.0.1', port };
}
