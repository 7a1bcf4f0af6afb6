import type { JsonObject } from '#base/json.ts';
import { shortId } from '#base/ids.ts';
import type { SandboxFacts } from '#network/model.ts';
import type { ContainerRecord } from '../record.ts';

/** What a network name stands for while no endpoint exists: its id once known. */
export type NetworkIdOf = (name: string) => string;

/** `NetworkSettings.Networks` of inspect and list. */
export function endpointViews(
  record: ContainerRecord,
  sandbox: SandboxFacts | null,
  networkIdOf: NetworkIdOf,
): JsonObject {
  const views: JsonObject = {};
  const hasNames = (name: string): boolean => !['bridge', 'host', 'none'].includes(name);
  for (const [name, wish] of Object.entries(record.networks)) {
    const live = sandbox?.endpoints[name];
    views[name] = {
      IPAMConfig:
        wish.IPAMConfig === null
          ? null
          : { ...wish.IPAMConfig, LinkLocalIPs: [...(wish.IPAMConfig.LinkLocalIPs ?? [])] },
      Links: wish.Links === null ? null : [...wish.Links],
      Aliases: wish.Aliases === null ? null : [...wish.Aliases],
      MacAddress: live?.macAddress ?? '',
      DriverOpts: wish.DriverOpts === null ? null : { ...wish.DriverOpts },
      GwPriority: wish.GwPriority,
      // Before its first start a container has seen no network.
      NetworkID: live?.networkId ?? (record.hasBeenStarted ? networkIdOf(name) : ''),
      EndpointID: live?.endpointId ?? '',
      Gateway: live?.gateway ?? '',
      IPAddress: live?.ipv4Address ?? '',
      IPPrefixLen: live?.ipv4PrefixLength ?? 0,
      IPv6Gateway: live?.ipv6Gateway ?? '',
      GlobalIPv6Address: live?.ipv6Address ?? '',
      GlobalIPv6PrefixLen: live?.ipv6PrefixLength ?? 0,
      DNSNames: hasNames(name) && record.hasBeenStarted ? [record.name, shortId(record.id)] : null,
    };
  }
  return views;
}

/**
 * Published and exposed ports as inspect shows them while the container runs: `80/tcp` to bindings, or
 * null.
 */
export function portViews(record: ContainerRecord, sandbox: SandboxFacts | null): JsonObject {
  if (sandbox === null || sandbox.mode !== 'bridge') return {};
  const views = new Map<string, { HostIp: string; HostPort: string }[] | null>();
  for (const port of Object.keys(record.config.ExposedPorts ?? {})) views.set(port, null);
  for (const { protocol, containerPort, hostIp, hostPort } of sandbox.ports) {
    const key = `${containerPort}/${protocol}`;
    const list = views.get(key) ?? [];
    list.push({ HostIp: hostIp, HostPort: String(hostPort) });
    views.set(key, list);
  }
  return Object.fromEntries([...views].sort(([a], [b]) => (a < b ? -1 : 1)));
}
