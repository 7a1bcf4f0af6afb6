import { EngineError } from '#base/errors.ts';
import { isUnspecified, parseAddress } from './address.ts';
import type { PortBinding, Protocol } from './model.ts';

/** One container port to publish, before host ports are chosen. */
export interface PortWish {
  readonly protocol: Protocol;
  readonly containerPort: number;
  /** All of them get the same host port. */
  readonly hostIps: readonly string[];
  /** `first` 0: any free port; else one out of first…last. */
  readonly hostPorts: { readonly first: number; readonly last: number };
}

export interface PortWishInput {
  readonly portBindings: Readonly<Record<string, readonly PortBinding[] | null>>;
  readonly exposedPorts: readonly string[];
  readonly publishAll: boolean;
  /** `--ip`: where bindings without an address go. */
  readonly defaultHostIp: string;
  /** Whether an unspecific binding is taken on `::`, too. */
  readonly ipv6: boolean;
}

const isProtocol = (text: string): text is Protocol => text === 'tcp' || text === 'udp' || text === 'sctp';

function parseNumber(text: string, what: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port >= 0 && port <= 65535)) throw new EngineError('invalidArgument', `invalid ${what}: ${text}`);
  return port;
}

/** `80/tcp`, `80`, `8000-8010/udp`: every single port of it. */
export function parseContainerPorts(
  text: string,
): readonly { readonly port: number; readonly protocol: Protocol }[] {
  const [range = '', name = 'tcp'] = text.split('/', 2);
  const protocol = name.toLowerCase();
  if (!isProtocol(protocol)) throw new EngineError('invalidArgument', `invalid proto: ${name}`);
  const [from = '', to = from] = range.split('-', 2);
  const first = parseNumber(from, 'container port');
  const last = parseNumber(to, 'container port');
  if (first > last)
    throw new EngineError('invalidArgument', `invalid range specified for the Container port: ${range}`);
  return Array.from({ length: last - first + 1 }, (_, i) => ({ port: first + i, protocol }));
}

function hostPortRange(text: string): { first: number; last: number } {
  if (text === '') return { first: 0, last: 0 };
  const [from = '', to = from] = text.split('-', 2);
  const first = parseNumber(from, 'hostPort');
  const last = parseNumber(to, 'hostPort');
  if (first > last) throw new EngineError('invalidArgument', `invalid hostPort: ${text}`);
  return { first, last };
}

function hostIpsOf(hostIp: string, input: PortWishInput): string[] {
  if (hostIp === '') {
    const fallback = input.defaultHostIp === '' ? '0.0.0.0' : input.defaultHostIp;
    return fallback === '0.0.0.0' && input.ipv6 ? ['0.0.0.0', '::'] : [fallback];
  }
  const bare = hostIp.startsWith('[') && hostIp.endsWith(']') ? hostIp.slice(1, -1) : hostIp;
  const address = parseAddress(bare);
  if (address === null) throw new EngineError('invalidArgument', `invalid IP address: ${hostIp}`);
  return [bare];
}

/**
 * What is to be published: the exposed ports that have a binding, and with `publishAll` those that have none.
 * Sorted by port and protocol, so that ephemeral ports are given out in an order that does not depend on the
 * request's.
 */
export function portWishes(input: PortWishInput): readonly PortWish[] {
  const bindings = new Map<string, readonly PortBinding[]>();
  for (const [key, list] of Object.entries(input.portBindings)) {
    if (!isProtocol((key.split('/', 2)[1] ?? 'tcp').toLowerCase())) continue;
    for (const { port, protocol } of parseContainerPorts(key))
      bindings.set(`${port}/${protocol}`, list ?? []);
  }
  const exposed = new Map<string, { port: number; protocol: Protocol }>();
  for (const text of input.exposedPorts)
    for (const one of parseContainerPorts(text)) exposed.set(`${one.port}/${one.protocol}`, one);
  const sorted = [...exposed.values()].sort(
    (a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol),
  );
  return sorted.flatMap(({ port, protocol }) => {
    const listed = bindings.get(`${port}/${protocol}`);
    const wanted =
      listed !== undefined && listed.length > 0
        ? listed
        : input.publishAll
          ? [{ hostIp: '', hostPort: '' }]
          : [];
    return wanted.map((binding) => ({
      protocol,
      containerPort: port,
      hostIps: hostIpsOf(binding.hostIp, input),
      hostPorts: hostPortRange(binding.hostPort),
    }));
  });
}

/**
 * Two addresses that cannot both have the same port: the same one, or one of them stands for all of its
 * family.
 */
export function addressesClash(a: string, b: string): boolean {
  const left = parseAddress(a);
  const right = parseAddress(b);
  if (left === null || right === null || left.family !== right.family) return false;
  return left.value === right.value || isUnspecified(left) || isUnspecified(right);
}
