import type {
  Expression,
  FirewallOperation,
  KeyType,
  SetElement,
  TableAddress,
} from '#host/firewall-operations.ts';
import {
  addressBytes,
  formatPrefix,
  isLoopback,
  isUnspecified,
  maskOf,
  parseAddress,
  type Prefix,
} from './address.ts';
import type { PublishedPort } from './model.ts';
import { DEFAULT_BRIDGE, INSTANCE_PREFIX } from './names.ts';

/*
 * The firewall of one daemon: one table, whose rules are written once; publishing a port only adds elements
 * to its maps.
 *
 * A packet to a published port is rewritten in prerouting (from outside and from our own bridge) or in output
 * (from the host itself, 127.0.0.1 included). What was rewritten passes forward; anything else that comes
 * from outside to a container does not.
 */

export interface FirewallShape {
  /** Name of the table. */
  readonly name: string;
  readonly bridge: string;
  readonly subnet4: Prefix | null;
  readonly subnet6: Prefix | null;
  readonly masquerade: boolean;
  /** Containers may reach each other. */
  readonly icc: boolean;
  /**
   * Forwarding was off before us: what is not ours is dropped, so that the host does not turn into a router.
   */
  readonly dropOtherForwarding: { readonly ipv4: boolean; readonly ipv6: boolean };
}

/** One published port with where it leads. */
export interface PortForward extends PublishedPort {
  readonly containerIp: string;
}

type Key = readonly KeyType[];
interface PortMap {
  readonly name: string;
  readonly key: Key;
  readonly data: Key;
}

/**
 * `any`: bindings to all addresses; `host`: to one address; `loopback`: to 127/8, seen by the host's own
 * packets only.
 */
const MAPS = {
  any4: { name: 'any4', key: ['inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] },
  host4: {
    name: 'host4',
    key: ['inet_proto', 'ipv4_addr', 'inet_service'],
    data: ['ipv4_addr', 'inet_service'],
  },
  loopback4: {
    name: 'loopback4',
    key: ['inet_proto', 'ipv4_addr', 'inet_service'],
    data: ['ipv4_addr', 'inet_service'],
  },
  any6: { name: 'any6', key: ['inet_proto', 'inet_service'], data: ['ipv6_addr', 'inet_service'] },
  host6: {
    name: 'host6',
    key: ['inet_proto', 'ipv6_addr', 'inet_service'],
    data: ['ipv6_addr', 'inet_service'],
  },
} as const satisfies Record<string, PortMap>;

export const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;

const CT_ESTABLISHED_OR_RELATED = 2 | 4;
const CT_DNAT = 1 << 5;
const RTN_LOCAL = 2;

const native32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const interfaceName = (name: string): Buffer =>
  Buffer.concat([Buffer.from(name), Buffer.alloc(16)]).subarray(0, 16);
const onInterface = (key: 'iifname' | 'oifname', name: string, op: 'eq' | 'neq' = 'eq'): Expression[] => [
  { kind: 'meta', key },
  { kind: 'compare', op, value: interfaceName(name) },
];
const family = (version: 4 | 6): Expression[] => [
  { kind: 'meta', key: 'nfproto' },
  { kind: 'compare', op: 'eq', value: Buffer.from([version === 4 ? 2 : 10]) },
];
const inPrefix = (end: 'saddr' | 'daddr', prefix: Prefix): Expression[] => [
  ...family(prefix.family),
  { kind: 'payload', field: `${prefix.family === 4 ? 'ip' : 'ip6'} ${end}` },
  {
    kind: 'bitwise',
    mask: addressBytes({ family: prefix.family, value: maskOf(prefix.family, prefix.length) }),
  },
  { kind: 'compare', op: 'eq', value: addressBytes({ family: prefix.family, value: prefix.base }) },
];
const flag = (key: 'state' | 'status', bits: number): Expression[] => [
  { kind: 'ct', key },
  { kind: 'bitwise', mask: native32(bits) },
  { kind: 'compare', op: 'neq', value: native32(0) },
];
const toLocal: readonly Expression[] = [
  { kind: 'fib', of: 'daddr' },
  { kind: 'compare', op: 'eq', value: native32(RTN_LOCAL) },
];
const accept: Expression = { kind: 'verdict', verdict: 'accept' };
const drop: Expression = { kind: 'verdict', verdict: 'drop' };
const LOOPBACK: Prefix = { family: 4, base: 127n << 24n, length: 8 };

/**
 * Looks protocol, address and port up in a map and rewrites to what it says. Key in slots 0…, data from slot
 * 8.
 */
function translate(map: PortMap): Expression[] {
  const version = map.data[0] === 'ipv4_addr' ? 4 : 6;
  const withAddress = map.key.length === 3;
  const addressSlots = version === 4 ? 1 : 4;
  const dataSlot = 8;
  return [
    ...family(version),
    ...(withAddress ? [] : toLocal),
    { kind: 'meta', key: 'l4proto', slot: 0 },
    ...(withAddress
      ? [{ kind: 'payload', field: version === 4 ? 'ip daddr' : 'ip6 daddr', slot: 1 } as const]
      : []),
    { kind: 'payload', field: 'th dport', slot: withAddress ? 1 + addressSlots : 1 },
    { kind: 'lookup', set: map.name, slot: 0, data: dataSlot },
    { kind: 'dnat', family: version, address: dataSlot, port: dataSlot + addressSlots },
  ];
}

const mapsOf = (shape: FirewallShape): readonly PortMap[] => [
  ...(shape.subnet4 === null ? [] : [MAPS.any4, MAPS.host4, MAPS.loopback4]),
  ...(shape.subnet6 === null ? [] : [MAPS.any6, MAPS.host6]),
];

type Rule = readonly [comment: string, expressions: readonly Expression[]];

function natRules(shape: FirewallShape): Record<'prerouting' | 'output' | 'postrouting', Rule[]> {
  const v4 = shape.subnet4 !== null;
  const v6 = shape.subnet6 !== null;
  const prerouting: Rule[] = [];
  const output: Rule[] = [];
  const postrouting: Rule[] = [];
  if (v4) {
    prerouting.push(
      ['ports of one address', translate(MAPS.host4)],
      ['ports of all addresses', translate(MAPS.any4)],
    );
    output.push(['ports of 127.0.0.0/8', translate(MAPS.loopback4)], ...prerouting);
    postrouting.push([
      'from 127.0.0.0/8 to containers',
      [...inPrefix('saddr', LOOPBACK), ...onInterface('oifname', shape.bridge), { kind: 'masquerade' }],
    ]);
  }
  if (v6) {
    const rules: Rule[] = [
      ['ports of one address', translate(MAPS.host6)],
      ['ports of all addresses', translate(MAPS.any6)],
    ];
    prerouting.push(...rules);
    output.push(...rules);
  }
  for (const subnet of [shape.subnet4, shape.subnet6]) {
    if (subnet === null) continue;
    const from = inPrefix('saddr', subnet);
    const hairpin: Expression[] = [
      ...from,
      ...onInterface('oifname', shape.bridge),
      ...flag('status', CT_DNAT),
      { kind: 'masquerade' },
    ];
    postrouting.push(['container to published port', hairpin]);
    const outward: Expression[] = [
      ...from,
      ...onInterface('oifname', shape.bridge, 'neq'),
      { kind: 'masquerade' },
    ];
    if (shape.masquerade) postrouting.push([`${formatPrefix(subnet)} to outside`, outward]);
  }
  return { prerouting, output, postrouting };
}

/** Whatever another engine of this kind calls its bridge: its own table decides about those packets. */
function neighbourBridges(bridge: string): Rule[] {
  return (['iifname', 'oifname'] as const).flatMap((key): Rule[] => {
    const begins: Expression[] = [
      { kind: 'meta', key },
      { kind: 'compare', op: 'eq', value: Buffer.from(INSTANCE_PREFIX) },
    ];
    const text = 'of another engine';
    return [
      [text, [...begins, accept]],
      ...(bridge === DEFAULT_BRIDGE ? [] : [[text, [...onInterface(key, DEFAULT_BRIDGE), accept]] as Rule]),
    ];
  });
}

function forwardRules(shape: FirewallShape): Rule[] {
  const into = onInterface('oifname', shape.bridge);
  const from = onInterface('iifname', shape.bridge);
  const rules: Rule[] = [
    ['answers', [...into, ...flag('state', CT_ESTABLISHED_OR_RELATED), accept]],
    ['published ports', [...into, ...flag('status', CT_DNAT), accept]],
    ['between containers', [...from, ...into, shape.icc ? accept : drop]],
    ['from containers', [...from, accept]],
    ['not published', [...into, drop]],
  ];
  if (shape.dropOtherForwarding.ipv4 || shape.dropOtherForwarding.ipv6)
    rules.push(...neighbourBridges(shape.bridge));
  if (shape.dropOtherForwarding.ipv4) rules.push(['not ours', [...family(4), drop]]);
  if (shape.dropOtherForwarding.ipv6) rules.push(['not ours', [...family(6), drop]]);
  return rules;
}

const tableOf = (name: string): TableAddress => ({ family: 'inet', name });

/** The whole table, from nothing, in one transaction; whatever stood under its name is replaced at once. */
export function planTable(shape: FirewallShape, ports: readonly PortForward[]): FirewallOperation[] {
  const table = tableOf(shape.name);
  const nat = natRules(shape);
  const chains = [
    ['raw', { type: 'filter', hook: 'prerouting', priority: -300 }, shape.subnet4 === null ? [] : [RAW_RULE]],
    ['prerouting', { type: 'nat', hook: 'prerouting', priority: -100 }, nat.prerouting],
    ['output', { type: 'nat', hook: 'output', priority: -100 }, nat.output],
    ['forward', { type: 'filter', hook: 'forward', priority: 0 }, forwardRules(shape)],
    ['postrouting', { type: 'nat', hook: 'postrouting', priority: 100 }, nat.postrouting],
  ] as const;
  return [
    { kind: 'addTable', table },
    { kind: 'deleteTable', table },
    { kind: 'addTable', table },
    ...mapsOf(shape).map(
      (map) => ({ kind: 'addSet', table, set: map.name, key: map.key, data: map.data }) as const,
    ),
    ...chains.flatMap(([chain, base, rules]): FirewallOperation[] => [
      { kind: 'addChain', table, chain, base: { ...base, policy: 'accept' } },
      ...rules.map(
        ([comment, expressions]) => ({ kind: 'addRule', table, chain, comment, expressions }) as const,
      ),
    ]),
    ...planPorts('addElements', shape, ports),
  ];
}

/** Nobody outside may reach 127.0.0.0/8 through the bridge, where `route_localnet` is on. */
const RAW_RULE: Rule = [
  '127.0.0.0/8 from outside',
  [...onInterface('iifname', 'lo', 'neq'), ...inPrefix('daddr', LOOPBACK), drop],
];

function mapFor(port: PortForward): PortMap | null {
  const host = parseAddress(port.hostIp);
  const target = parseAddress(port.containerIp);
  // An IPv6 address of the host that leads to an IPv4 container is no matter for the firewall: address
  // families do not mix.
  if (host === null || target === null || host.family !== target.family) return null;
  if (host.family === 6) return isUnspecified(host) ? MAPS.any6 : isLoopback(host) ? null : MAPS.host6;
  return isUnspecified(host) ? MAPS.any4 : isLoopback(host) ? MAPS.loopback4 : MAPS.host4;
}

/** True when packets to this port reach the container by the firewall alone. */
export function isForwarded(port: PortForward): boolean {
  return mapFor(port) !== null;
}

/** Adds or removes the elements of some ports: one transaction. */
export function planPorts(
  kind: 'addElements' | 'deleteElements',
  shape: FirewallShape,
  ports: readonly PortForward[],
): FirewallOperation[] {
  const known = new Set(mapsOf(shape).map((map) => map.name));
  const byMap = new Map<PortMap, SetElement[]>();
  for (const port of ports) {
    const map = mapFor(port);
    if (map === null || !known.has(map.name)) continue;
    const protocol = PROTOCOL_NUMBERS[port.protocol];
    const key = map.key.length === 3 ? [protocol, port.hostIp, port.hostPort] : [protocol, port.hostPort];
    byMap.set(map, [
      ...(byMap.get(map) ?? []),
      kind === 'addElements' ? { key, data: [port.containerIp, port.containerPort] } : { key },
    ]);
  }
  return [...byMap].map(([map, elements]) => ({
    kind,
    table: tableOf(shape.name),
    set: map.name,
    key: map.key,
    data: map.data,
    elements,
  }));
}

/** How many elements each map must have: what a cheap look at the kernel is compared with. */
export function expectedElements(
  shape: FirewallShape,
  ports: readonly PortForward[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(mapsOf(shape).map((map) => [map.name, 0]));
  for (const operation of planPorts('addElements', shape, ports)) {
    if (operation.kind === 'addElements') counts.set(operation.set, operation.elements.length);
  }
  return counts;
}
