import { EngineError } from '#base/errors.ts';
import type { AddressRecord, Link, LinkOperation, RouteRecord } from '#host/link-operations.ts';
import {
  contains,
  formatAddress,
  formatPrefix,
  isLoopback,
  overlaps,
  parseAddress,
  parseInterface,
  prefixOf,
  requireInterface,
  type Address,
  type Family,
  type Interface,
  type Prefix,
} from './address.ts';
import { DEFAULT_ADDRESS_POOLS, firstFreeSubnet } from './ipam.ts';
import type { NetworkSettings } from './model.ts';
import { bridgeMac, DEFAULT_BRIDGE, instanceName, ownerAlias, uniqueLocalSubnet } from './names.ts';

/** What the host has, as far as the default bridge must know. */
export interface HostNetwork {
  readonly links: readonly Link[];
  readonly addresses: readonly AddressRecord[];
  readonly routes: readonly RouteRecord[];
}

export interface BridgeFamily {
  /** The bridge's own address and network. */
  readonly interface: Interface;
  /** Where containers send what is for elsewhere; the bridge itself unless set otherwise. */
  readonly gateway: Address;
  /** The part that containers' addresses come from. */
  readonly range: Prefix | null;
}

/** The default bridge as it will be, and the operations that make it so. */
export interface BridgePlan {
  readonly name: string;
  /** Made by us, so ours to change. */
  readonly own: boolean;
  readonly mtu: number;
  readonly ipv4: BridgeFamily;
  readonly ipv6: BridgeFamily | null;
  readonly operations: readonly LinkOperation[];
  /** Below /proc/sys. */
  readonly sysctls: readonly (readonly [name: string, value: string])[];
}

interface Choice {
  readonly name: string;
  readonly own: boolean;
  readonly link: Link | null;
}

function chooseBridge(settings: NetworkSettings, host: HostNetwork): Choice {
  const find = (name: string): Link | null => host.links.find((link) => link.name === name) ?? null;
  if (settings.bridge !== undefined && settings.bridge !== '' && settings.bridge !== DEFAULT_BRIDGE) {
    const link = find(settings.bridge);
    if (link === null) {
      throw new EngineError(
        'invalidArgument',
        `bridge device with non default name ${settings.bridge} must be created manually`,
      );
    }
    return { name: link.name, own: false, link };
  }
  const ours = host.links.find(
    (link) => link.kind === 'bridge' && link.alias === ownerAlias(settings.instance),
  );
  if (ours !== undefined) return { name: ours.name, own: true, link: ours };
  const standing = find(DEFAULT_BRIDGE);
  if (standing === null) return { name: DEFAULT_BRIDGE, own: true, link: null };
  // Named by the administrator: used as it is. Else it belongs to another engine, and we stand beside it.
  if (settings.bridge === DEFAULT_BRIDGE) return { name: DEFAULT_BRIDGE, own: false, link: standing };
  return { name: instanceName(settings.instance), own: true, link: null };
}

/** Networks that a new subnet must not overlap: addresses and routes of other links. */
function takenPrefixes(host: HostNetwork, exceptIndex: number): Prefix[] {
  const taken: Prefix[] = [];
  for (const record of host.addresses) {
    const address = parseAddress(record.address);
    if (address !== null && record.linkIndex !== exceptIndex && !isLoopback(address))
      taken.push(prefixOf(address, record.prefixLength));
  }
  for (const route of host.routes) {
    const parsed = parseInterface(route.destination);
    // The local table repeats the addresses, multicast and broadcast; a default route overlaps everything.
    if (parsed !== null && parsed.prefix.length > 0 && route.table !== 255 && route.linkIndex !== exceptIndex)
      taken.push(parsed.prefix);
  }
  return taken;
}

const firstHost = (prefix: Prefix): Interface => ({
  address: { family: prefix.family, value: prefix.base + 1n },
  prefix,
});

function present(host: HostNetwork, link: Link | null, family: Family): Interface[] {
  if (link === null) return [];
  return host.addresses
    .filter(
      (record) => record.linkIndex === link.index && record.family === family && record.scope === 'global',
    )
    .flatMap((record) => parseInterface(`${record.address}/${record.prefixLength}`) ?? []);
}

function chooseIpv4(
  settings: NetworkSettings,
  host: HostNetwork,
  context: { choice: Choice; remembered: string | null },
): Interface {
  const { choice, remembered } = context;
  if (settings.bip !== undefined && settings.bip !== '') {
    const bip = requireInterface(settings.bip, 'bip');
    if (bip.address.family !== 4)
      throw new EngineError('invalidArgument', `bip: not an IPv4 address: ${settings.bip}`);
    if (bip.address.value === bip.prefix.base)
      throw new EngineError('invalidArgument', `bip: ${settings.bip} is the network's own address`, {
        hint: 'Name the address that the bridge shall have, such as 10.9.0.1/24.',
      });
    return bip;
  }
  const standing = present(host, choice.link, 4)[0];
  if (standing !== undefined) return standing;
  const taken = takenPrefixes(host, choice.link?.index ?? -1);
  const range =
    settings.fixedCidr === undefined || settings.fixedCidr === ''
      ? null
      : requireInterface(settings.fixedCidr, 'fixed-cidr').prefix;
  if (range !== null) return firstHost(range);
  const before = remembered === null ? null : parseInterface(remembered);
  // The subnet of last time, so that addresses stay what they were after a reboot; unless somebody took it
  // meanwhile.
  if (before !== null && !taken.some((other) => overlaps(before.prefix, other)))
    return firstHost(before.prefix);
  const pools =
    (settings.addressPools ?? []).length > 0 ? (settings.addressPools ?? []) : DEFAULT_ADDRESS_POOLS;
  return firstHost(
    firstFreeSubnet(
      pools.filter((pool) => !pool.base.includes(':')),
      taken,
    ),
  );
}

function chooseIpv6(settings: NetworkSettings): BridgeFamily | null {
  if (settings.ipv6 !== true) return null;
  const range =
    settings.fixedCidrV6 === undefined || settings.fixedCidrV6 === ''
      ? null
      : requireInterface(settings.fixedCidrV6, 'fixed-cidr-v6').prefix;
  const bip =
    settings.bip6 === undefined || settings.bip6 === '' ? null : requireInterface(settings.bip6, 'bip6');
  const own =
    bip ?? firstHost(range ?? requireInterface(uniqueLocalSubnet(settings.instance), 'subnet').prefix);
  if (own.address.family !== 6)
    throw new EngineError(
      'invalidArgument',
      `not an IPv6 network: ${settings.bip6 ?? settings.fixedCidrV6 ?? ''}`,
    );
  return { interface: own, gateway: gatewayOf(own, settings.defaultGatewayV6), range };
}

function gatewayOf(own: Interface, wanted: string | undefined): Address {
  if (wanted === undefined || wanted === '') return own.address;
  const gateway = parseAddress(wanted);
  if (gateway === null || !contains(own.prefix, gateway)) {
    throw new EngineError(
      'invalidArgument',
      `default gateway ${wanted} is not in the bridge's network ${formatPrefix(own.prefix)}`,
    );
  }
  return gateway;
}

function addressOperations(plan: {
  name: string;
  wanted: Interface;
  standing: readonly Interface[];
  own: boolean;
}): LinkOperation[] {
  const same = (a: Interface): boolean =>
    a.address.value === plan.wanted.address.value && a.prefix.length === plan.wanted.prefix.length;
  const change = (kind: 'addAddress' | 'removeAddress', i: Interface): LinkOperation => ({
    kind,
    link: plan.name,
    address: formatAddress(i.address),
    prefixLength: i.prefix.length,
  });
  return [
    ...(plan.own ? plan.standing.filter((i) => !same(i)).map((i) => change('removeAddress', i)) : []),
    ...(plan.standing.some(same) ? [] : [change('addAddress', plan.wanted)]),
  ];
}

/** `remembered`: the subnet that this data root's bridge had before, from its record. */
export function planBridge(
  settings: NetworkSettings,
  host: HostNetwork,
  remembered: string | null,
): BridgePlan {
  const choice = chooseBridge(settings, host);
  const { name, own, link } = choice;
  const ipv4 = chooseIpv4(settings, host, { choice, remembered });
  const range =
    settings.fixedCidr === undefined || settings.fixedCidr === ''
      ? null
      : requireInterface(settings.fixedCidr, 'fixed-cidr').prefix;
  if (range !== null && !contains(ipv4.prefix, { family: 4, value: range.base })) {
    throw new EngineError(
      'invalidArgument',
      `fixed-cidr ${settings.fixedCidr ?? ''} is not in the bridge's network ${formatPrefix(ipv4.prefix)}`,
    );
  }
  const ipv6 = chooseIpv6(settings);
  const mtu = settings.mtu === undefined || settings.mtu === 0 ? 1500 : settings.mtu;
  const alias = ownerAlias(settings.instance);
  const operations: LinkOperation[] = [
    ...(link === null
      ? [{ kind: 'addBridge', name, mac: bridgeMac(settings.instance), mtu, alias } as const]
      : []),
    ...addressOperations({ name, wanted: ipv4, standing: present(host, link, 4), own }),
    ...(ipv6 === null
      ? []
      : addressOperations({ name, wanted: ipv6.interface, standing: present(host, link, 6), own })),
    ...(link?.up === true ? [] : [{ kind: 'setUp', link: name } as const]),
  ];
  const firewall = settings.iptables !== false;
  const sysctls: (readonly [string, string])[] = [
    ...(firewall ? [[`net/ipv4/conf/${name}/route_localnet`, '1'] as const] : []),
    ...(ipv6 === null
      ? []
      : [
          [`net/ipv6/conf/${name}/disable_ipv6`, '0'] as const,
          [`net/ipv6/conf/${name}/accept_ra`, '0'] as const,
        ]),
  ];
  return {
    name,
    own,
    mtu,
    ipv4: { interface: ipv4, gateway: gatewayOf(ipv4, settings.defaultGateway), range },
    ipv6,
    operations,
    sysctls,
  };
}
