import { isJsonObject } from '#base/json.ts';
import type { PortBinding, PortMap } from '../record.ts';
import { invalid, mapFrom, wrongType, type Fields } from './fields.ts';

const PORT = /^(\d+)(?:-(\d+))?(?:\/([a-z0-9]*))?$/i;

/** `80/tcp` from `80`, `80/TCP`, …; null when it is no port that this engine can expose. */
export function normalPort(text: string): string | null {
  const match = PORT.exec(text);
  if (match === null || match[2] !== undefined) return null;
  const port = Number(match[1]);
  const protocol = (match[3] ?? 'tcp').toLowerCase() || 'tcp';
  return port <= 65535 ? `${port}/${protocol}` : null;
}

function parseBinding(item: unknown, port: string): PortBinding {
  const source = isJsonObject(item) ? item : {};
  const read = (key: string): string => {
    const value = source[key] ?? '';
    if (typeof value !== 'string') throw wrongType(value, `.HostConfig.PortBindings.${key}`, 'string');
    return value;
  };
  const binding = { HostIp: read('HostIp'), HostPort: read('HostPort') };
  const range = /^(\d*)(?:-(\d+))?$/.exec(binding.HostPort);
  const low = Number(range?.[1] ?? 0);
  const high = Number(range?.[2] ?? low);
  if (range === null || low > 65535 || high > 65535 || high < low)
    throw invalid(`invalid port specification: "${binding.HostPort}"`);
  if (!/^(?:|[0-9a-fA-F:.]+)$/.test(binding.HostIp))
    throw invalid(`invalid IP address in port binding of ${port}: ${binding.HostIp}`);
  return binding;
}

/** `HostConfig.PortBindings`, keys as the client wrote them. Errors: `invalidArgument`. */
export function parsePortBindings(hostConfig: Fields): PortMap | null {
  const bindings = hostConfig.object('PortBindings');
  if (bindings === null) return null;
  return mapFrom(
    bindings.entries().map(([port, list]) => {
      if (PORT.exec(port) === null) throw invalid(`invalid port specification: "${port}"`);
      if (list === null) return [port, null];
      if (!Array.isArray(list)) throw wrongType(list, '.HostConfig.PortBindings', '[]nat.PortBinding');
      return [port, list.map((item) => parseBinding(item, port))];
    }),
  );
}

/** What the container exposes: the image's, its own, and every published port with a protocol that exists. */
export function exposedPorts(
  image: readonly string[] | null,
  own: readonly string[] | null,
): Readonly<Record<string, object>> | undefined {
  const all = [...(image ?? []), ...(own ?? [])].map(normalPort).filter((port) => port !== null);
  return all.length === 0 ? undefined : mapFrom(all.map((port) => [port, {}]));
}
