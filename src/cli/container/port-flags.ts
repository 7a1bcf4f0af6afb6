import { UsageError } from '../flags.ts';

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

export interface Published {
  readonly exposed: Record<string, Record<string, never>>;
  readonly bindings: Record<string, PortBinding[]>;
}

const PROTOCOLS = new Set(['tcp', 'udp', 'sctp']);

interface Range {
  readonly first: number;
  readonly last: number;
}

function parseRange(text: string, what: string): Range {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first > 65_535 || last > 65_535 || last < first)
    throw new UsageError(`invalid ${what}: ${text}`);
  return { first, last };
}

interface PortSpec {
  readonly ip: string;
  readonly host: string;
  readonly container: string;
  readonly protocol: string;
}

/** `[[ip:][host]:]container[/protocol]`, IPv6 addresses in brackets. */
function splitSpec(spec: string): PortSpec {
  const slash = spec.lastIndexOf('/');
  const protocol = slash < 0 ? 'tcp' : spec.slice(slash + 1).toLowerCase();
  if (!PROTOCOLS.has(protocol)) throw new UsageError(`invalid proto: ${protocol}`);
  const rest = slash < 0 ? spec : spec.slice(0, slash);
  const match = /^(?:(?:(\[[0-9a-fA-F:.%]+\]|[^:]*):)?([^:]*):)?([^:]+)$/.exec(rest);
  if (match === null)
    throw new UsageError(`invalid publish opts format (should be name=value but got '${spec}')`);
  return {
    ip: (match[1] ?? '').replace(/^\[|\]$/g, ''),
    host: match[2] ?? '',
    container: match[3] ?? '',
    protocol,
  };
}

function publishOne(spec: PortSpec, into: Published): void {
  const container = parseRange(spec.container, 'containerPort');
  const host = spec.host === '' ? null : parseRange(spec.host, 'hostPort');
  const count = container.last - container.first;
  if (host !== null && host.last - host.first !== count && count !== 0) {
    throw new UsageError(
      `invalid ranges specified for container and host Ports: ${spec.container} and ${spec.host}`,
    );
  }
  for (let i = 0; i <= count; i++) {
    const key = `${container.first + i}/${spec.protocol}`;
    const isPool = host !== null && host.last - host.first !== count;
    const hostPort = host === null ? '' : isPool ? spec.host : String(host.first + i);
    into.exposed[key] = {};
    into.bindings[key] = [...(into.bindings[key] ?? []), { HostIp: spec.ip, HostPort: hostPort }];
  }
}

/** `-p` and `--expose` as the API wants them. Pure. */
export function parsePorts(publish: readonly string[], expose: readonly string[]): Published {
  const result: Published = { exposed: {}, bindings: {} };
  for (const spec of publish) publishOne(splitSpec(spec), result);
  for (const spec of expose) {
    const [ports = '', protocol = 'tcp'] = spec.split('/');
    const range = parseRange(ports, 'range format for --expose');
    for (let port = range.first; port <= range.last; port++) result.exposed[`${port}/${protocol}`] ??= {};
  }
  return result;
}
