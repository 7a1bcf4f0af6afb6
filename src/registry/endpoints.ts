import { BlockList, isIP } from 'node:net';

/** What daemon.json says about registries, live. */
export interface RegistrySettings {
  /** Addresses with scheme, asked before the origin of every registry. */
  readonly mirrors: readonly string[];
  /** `host`, `host:port` or CIDR: certificates are not checked there, and plain HTTP is an answer. */
  readonly insecure: readonly string[];
  /** Folders with a folder of certificates per `host[:port]`. */
  readonly certsDirs: readonly string[];
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
  readonly maxDownloads: number;
  readonly maxUploads: number;
  /** Attempts per blob, the first one included. */
  readonly tries: number;
}

/** One address where a repository may be asked for. */
export interface Endpoint {
  /** Without a slash at its end; `/v2/…` is appended. */
  readonly base: string;
  /** `host[:port]` of the address. */
  readonly host: string;
  readonly isMirror: boolean;
  readonly skipVerify: boolean;
  /** Nothing but the registry of the image's name gets what the user has for it. */
  readonly takesCredentials: boolean;
  readonly query: Readonly<Record<string, string>>;
}

export const HUB = 'docker.io';
const HUB_HOST = 'registry-1.docker.io';
const HUB_NAMES: ReadonlySet<string> = new Set([HUB, 'index.docker.io', HUB_HOST]);

/** One name for one registry: `index.docker.io` and what clients write for it are `docker.io`. */
export function canonicalDomain(address: string): string {
  const bare = address.replace(/^https?:\/\//, '').replace(/\/.*$/s, '');
  return HUB_NAMES.has(bare) ? HUB : bare;
}

/** `host` and port of `host[:port]`, brackets of IPv6 removed. */
export function splitHost(domain: string): { readonly host: string; readonly port: string } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(domain);
  return { host: match?.[1] ?? match?.[2] ?? domain, port: match?.[3] ?? '' };
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address);
    if (family === 0 || bits === undefined || !/^\d{1,3}$/.test(bits)) continue;
    if (Number(bits) > (family === 4 ? 32 : 128)) continue;
    list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/**
 * Whether certificates of this registry are not checked and plain HTTP will do. `addresses` are those its
 * name stands for, where somebody looked them up.
 */
export function isInsecure(
  domain: string,
  insecure: readonly string[],
  addresses: readonly string[] = [],
): boolean {
  const { host } = splitHost(domain);
  if (host === 'localhost' || insecure.includes(domain) || insecure.includes(host)) return true;
  const list = blockList(insecure);
  return [host, ...addresses].some((address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  });
}

/** Whether a CIDR is among them, so that a name's addresses matter. */
export function namesNetworks(insecure: readonly string[]): boolean {
  return insecure.some((entry) => entry.includes('/'));
}

function mirrorEndpoint(mirror: string, domain: string, insecure: readonly string[]): Endpoint | null {
  if (!URL.canParse(mirror)) return null;
  const url = new URL(mirror);
  // Mirrors of Docker Hub alone are asked as the reference asks them: some refuse the parameter.
  const query: Record<string, string> = domain === HUB ? {} : { ns: domain };
  return {
    base: url.origin + url.pathname.replace(/\/+$/, ''),
    host: url.host,
    isMirror: true,
    skipVerify: isInsecure(url.host, insecure),
    takesCredentials: false,
    query,
  };
}

export interface EndpointUse {
  readonly actions: 'pull' | 'push';
  readonly addresses?: readonly string[];
}

/**
 * Where to ask for a repository, in order: the mirrors (nothing is pushed to them), the registry by HTTPS,
 * and by plain HTTP if it is insecure or on this host.
 */
export function planEndpoints(
  domain: string,
  settings: Pick<RegistrySettings, 'mirrors' | 'insecure'>,
  use: EndpointUse,
): readonly Endpoint[] {
  const name = canonicalDomain(domain);
  const host = name === HUB ? HUB_HOST : name;
  const skipVerify = isInsecure(host, settings.insecure, use.addresses);
  const origin = { host, isMirror: false, skipVerify, takesCredentials: true, query: {} };
  const mirrors = use.actions === 'push' ? [] : settings.mirrors;
  return [
    ...mirrors.map((mirror) => mirrorEndpoint(mirror, name, settings.insecure)).filter((e) => e !== null),
    { ...origin, base: `https://${host}` },
    ...(skipVerify ? [{ ...origin, base: `http://${host}` }] : []),
  ];
}
