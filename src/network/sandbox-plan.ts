import type { LinkOperation } from '#host/link-operations.ts';
import { formatAddress, formatPrefix, macFromIpv4, type Address } from './address.ts';
import type { BridgePlan } from './bridge-plan.ts';
import type { EndpointFacts } from './model.ts';
import { endpointAlias, endpointLink } from './names.ts';

/** Name of the link inside a container. */
export const CONTAINER_LINK = 'eth0';

export interface EndpointInput {
  readonly bridge: BridgePlan;
  readonly instance: string;
  readonly containerId: string;
  readonly endpointId: string;
  readonly network: { readonly id: string; readonly name: string };
  readonly ipv4: Address;
  readonly ipv6: Address | null;
  /** Asked for by the user; else derived from the IPv4 address. */
  readonly mac: string | null;
  /** Whether containers may reach each other otherwise than by published ports. */
  readonly icc: boolean;
}

export function endpointFacts(input: EndpointInput): EndpointFacts {
  const { bridge, ipv4, ipv6 } = input;
  const v6 = bridge.ipv6 === null || ipv6 === null ? null : { address: ipv6, family: bridge.ipv6 };
  return {
    networkId: input.network.id,
    networkName: input.network.name,
    endpointId: input.endpointId,
    macAddress: input.mac ?? macFromIpv4(ipv4),
    ipv4Address: formatAddress(ipv4),
    ipv4PrefixLength: bridge.ipv4.interface.prefix.length,
    gateway: formatAddress(bridge.ipv4.gateway),
    ipv6Address: v6 === null ? '' : formatAddress(v6.address),
    ipv6PrefixLength: v6 === null ? 0 : v6.family.interface.prefix.length,
    ipv6Gateway: v6 === null ? '' : formatAddress(v6.family.gateway),
    hostLink: endpointLink(input.endpointId),
  };
}

/**
 * On the host's side: one message makes the pair, puts our end on the bridge and the other into the
 * namespace.
 */
export function planHostSide(input: EndpointInput, facts: EndpointFacts, netns: number): LinkOperation[] {
  return [
    {
      kind: 'addVeth',
      name: facts.hostLink,
      alias: endpointAlias(input.instance, input.containerId),
      bridge: input.bridge.name,
      mtu: input.bridge.mtu,
      // A container that calls its own published port: the frame leaves by the port that it came in.
      hairpin: true,
      // The firewall sees what goes from port to port only where the kernel has br_netfilter.
      isolated: !input.icc,
      peer: { netns, name: CONTAINER_LINK, mac: facts.macAddress },
    },
  ];
}

/**
 * Settings inside the namespace, before the link goes up: the kernel then tells the neighbours about the new
 * MAC by itself. (A packet socket of ours would say the same, but closing one waits for an RCU grace period:
 * ten milliseconds.)
 */
export function planSysctls(facts: EndpointFacts): (readonly [name: string, value: string])[] {
  const announce = [`net/ipv4/conf/${CONTAINER_LINK}/arp_notify`, '1'] as const;
  if (facts.ipv6Address === '') return [announce, [`net/ipv6/conf/${CONTAINER_LINK}/disable_ipv6`, '1']];
  return [
    announce,
    [`net/ipv6/conf/${CONTAINER_LINK}/ndisc_notify`, '1'],
    [`net/ipv6/conf/${CONTAINER_LINK}/accept_ra`, '0'],
  ];
}

export const LOOPBACK_UP: readonly LinkOperation[] = [{ kind: 'setUp', link: 'lo' }];

/** Inside the namespace. */
export function planInside(facts: EndpointFacts): LinkOperation[] {
  const link = CONTAINER_LINK;
  const v6 = facts.ipv6Address !== '';
  return [
    ...LOOPBACK_UP,
    { kind: 'addAddress', link, address: facts.ipv4Address, prefixLength: facts.ipv4PrefixLength },
    ...(v6
      ? [
          {
            kind: 'addAddress',
            link,
            address: facts.ipv6Address,
            prefixLength: facts.ipv6PrefixLength,
          } as const,
        ]
      : []),
    { kind: 'setUp', link },
    { kind: 'addRoute', link, destination: '0.0.0.0/0', gateway: facts.gateway },
    ...(v6 ? [{ kind: 'addRoute', link, destination: '::/0', gateway: facts.ipv6Gateway } as const] : []),
  ];
}

/** How the API writes a bridge's address configuration. */
export function ipamConfig(bridge: BridgePlan): { Subnet: string; IPRange?: string; Gateway?: string }[] {
  const families = bridge.ipv6 === null ? [bridge.ipv4] : [bridge.ipv4, bridge.ipv6];
  return families.map((family) => ({
    Subnet: formatPrefix(family.interface.prefix),
    ...(family.range === null ? {} : { IPRange: formatPrefix(family.range) }),
    Gateway: formatAddress(family.gateway),
  }));
}
