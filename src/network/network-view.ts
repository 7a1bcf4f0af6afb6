import type { BridgePlan } from './bridge-plan.ts';
import type { NetworkContainerView, NetworkSettings, NetworkView, SandboxFacts } from './model.ts';
import type { NetworkIdentity, NetworkRecord } from './network-record.ts';
import { ipamConfig } from './sandbox-plan.ts';

/** The three networks in the words of the API. Pure. */

export interface ViewInput {
  readonly record: NetworkRecord;
  readonly settings: NetworkSettings;
  readonly bridge: BridgePlan | null;
}

function plain(name: string, driver: string, identity: NetworkIdentity): NetworkView {
  return {
    Name: name,
    Id: identity.id,
    Created: identity.created,
    Scope: 'local',
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: null },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: {},
  };
}

/** Without the default bridge (`--bridge none`) there are two. */
export function networkViews({ record, settings, bridge }: ViewInput): readonly NetworkView[] {
  const option = 'com.docker.network.bridge';
  const fixed = [plain('host', 'host', record.host), plain('none', 'null', record.none)];
  if (bridge === null) return fixed;
  const view: NetworkView = {
    ...plain('bridge', 'bridge', record.bridge),
    EnableIPv6: bridge.ipv6 !== null,
    IPAM: { Driver: 'default', Options: null, Config: ipamConfig(bridge) },
    Options: {
      [`${option}.default_bridge`]: 'true',
      [`${option}.enable_icc`]: String(settings.icc !== false),
      [`${option}.enable_ip_masquerade`]: String(settings.ipMasquerade !== false),
      [`${option}.host_binding_ipv4`]: settings.defaultHostIp ?? '0.0.0.0',
      [`${option}.name`]: bridge.name,
      'com.docker.network.driver.mtu': String(bridge.mtu),
    },
  };
  return [view, ...fixed];
}

/** The containers of one network, by id. */
export function containersIn(
  networkName: string,
  sandboxes: Iterable<SandboxFacts>,
): Record<string, NetworkContainerView> {
  const views: [string, NetworkContainerView][] = [];
  for (const facts of sandboxes) {
    const endpoint = facts.endpoints[networkName];
    if (endpoint === undefined) continue;
    const withPrefix = (address: string, length: number): string =>
      address === '' ? '' : `${address}/${length}`;
    views.push([
      facts.containerId,
      {
        Name: facts.name,
        EndpointID: endpoint.endpointId,
        MacAddress: endpoint.macAddress,
        IPv4Address: withPrefix(endpoint.ipv4Address, endpoint.ipv4PrefixLength),
        IPv6Address: withPrefix(endpoint.ipv6Address, endpoint.ipv6PrefixLength),
      },
    ]);
  }
  return Object.fromEntries(views);
}
