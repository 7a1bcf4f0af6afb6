import { BlockList, isIP } from 'node:net';
import { splitHost } from '../endpoints.ts';

/*
 * Which proxy a request takes, with the rules of Go's `httpproxy`: this host never; names with their
 * subdomains, `.name` for the subdomains alone, addresses, CIDRs, `*`, each of them with a port or without.
 */

export interface ProxySettings {
  readonly http: string;
  readonly https: string;
  readonly no: string;
}

const SCHEMES: ReadonlySet<string> = new Set(['http', 'https', 'socks5', 'socks5h']);
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function inNetwork(host: string, entry: string): boolean {
  const [network = '', bits = ''] = entry.split('/');
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), kind);
  return list.check(host, kind);
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry.includes('/')) return inNetwork(host, entry);
  const bare = isIP(entry) === 0 ? splitHost(entry) : { host: entry, port: '' };
  if (bare.port !== '' && bare.port !== port) return false;
  const name = bare.host.replace(/^\*\./, '.');
  if (isIP(name) !== 0) return name === host;
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

/**
 * Why nothing can be sent by way of this proxy, or null. Node would go around a proxy whose scheme it does
 * not know. The address itself is not repeated: it may hold a password.
 */
export function proxyProblem(proxy: string): string | null {
  const scheme = /^([^:/]*):\/\//.exec(proxy)?.[1]?.toLowerCase() ?? '';
  if (!SCHEMES.has(scheme)) return `unsupported protocol scheme ${JSON.stringify(scheme)}`;
  try {
    const { username, password, hostname } = new URL(proxy);
    decodeURIComponent(username + password);
    return hostname === '' ? 'the address of the proxy names no host' : null;
  } catch {
    return 'the address of the proxy is not a valid one';
  }
}

/** The proxy's address, or null. */
export function proxyFor(url: URL, settings: ProxySettings): string | null {
  const proxy = url.protocol === 'https:' ? settings.https : settings.http;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (proxy === '' || isLoopback(host)) return null;
  const port = url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? '') : url.port;
  const entries = settings.no.split(',').map((entry) => entry.trim().toLowerCase());
  const isExcepted = entries.some((entry) => entry === '*' || (entry !== '' && matches(entry, host, port)));
  if (isExcepted) return null;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}
