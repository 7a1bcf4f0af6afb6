import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '#host/link-operations.ts';
import { formatAddress, formatPrefix } from './address.ts';
import { planBridge, type HostNetwork } from './bridge-plan.ts';
import type { NetworkSettings } from './model.ts';
import { ownerAlias } from './names.ts';

const INSTANCE = 'ab'.repeat(32);
const settings = (change: Partial<NetworkSettings> = {}): NetworkSettings => ({
  instance: INSTANCE,
  dataRoot: '/d',
  execRoot: '/e',
  ...change,
});
const link = (change: Partial<Link>): Link => ({
  index: 5,
  name: 'docker0',
  kind: 'bridge',
  up: true,
  mac: '',
  mtu: 1500,
  master: 0,
  alias: '',
  ...change,
});
const EMPTY: HostNetwork = { links: [], addresses: [], routes: [] };
const address = (linkIndex: number, text: string, prefixLength: number) => ({
  linkIndex,
  family: 4 as const,
  address: text,
  prefixLength,
  scope: 'global' as const,
});

test('a fresh host gets docker0 with the first pool', () => {
  const plan = planBridge(settings(), EMPTY, null);
  assert.equal(plan.name, 'docker0');
  assert.equal(formatPrefix(plan.ipv4.interface.prefix), '172.17.0.0/16');
  assert.equal(formatAddress(plan.ipv4.gateway), '172.17.0.1');
  assert.deepEqual(
    plan.operations.map((o) => o.kind),
    ['addBridge', 'addAddress', 'setUp'],
  );
  assert.deepEqual(plan.sysctls, [['net/ipv4/conf/docker0/route_localnet', '1']]);
  assert.deepEqual(planBridge(settings({ iptables: false }), EMPTY, null).sysctls, []);
});

test("another engine's docker0 stays untouched, and we stand beside it", () => {
  const host = { ...EMPTY, links: [link({})], addresses: [address(5, '172.17.0.1', 16)] };
  const plan = planBridge(settings(), host, null);
  assert.equal(plan.name, 'gantry-ababab');
  assert.equal(formatPrefix(plan.ipv4.interface.prefix), '172.18.0.0/16');
  assert.ok(plan.operations.every((o) => !JSON.stringify(o).includes('docker0')));
});

test('our own bridge is taken as it is; nothing to do on the second start', () => {
  const host = {
    ...EMPTY,
    links: [link({ name: 'gantry-ababab', alias: ownerAlias(INSTANCE) })],
    addresses: [address(5, '172.18.0.1', 16)],
  };
  const plan = planBridge(settings(), host, '172.17.0.1/16');
  assert.deepEqual([plan.name, plan.own, plan.operations], ['gantry-ababab', true, []]);
  const moved = planBridge(settings({ bip: '10.9.0.1/24' }), host, null);
  assert.deepEqual(
    moved.operations.map((o) => o.kind),
    ['removeAddress', 'addAddress'],
  );
});

test('the subnet of last time comes back unless somebody has it now', () => {
  assert.equal(
    formatPrefix(planBridge(settings(), EMPTY, '172.21.0.1/16').ipv4.interface.prefix),
    '172.21.0.0/16',
  );
  const routed = {
    ...EMPTY,
    routes: [
      { family: 4 as const, destination: '172.21.3.0/24', gateway: '10.0.0.1', linkIndex: 2, table: 254 },
    ],
  };
  assert.equal(
    formatPrefix(planBridge(settings(), routed, '172.21.0.1/16').ipv4.interface.prefix),
    '172.17.0.0/16',
  );
});

test('default and local routes take no pool', () => {
  const routes = [
    { family: 4 as const, destination: '0.0.0.0/0', gateway: '10.0.0.1', linkIndex: 2, table: 254 },
    { family: 4 as const, destination: '172.17.0.1/32', gateway: '', linkIndex: 2, table: 255 },
  ];
  assert.equal(
    formatPrefix(planBridge(settings(), { ...EMPTY, routes }, null).ipv4.interface.prefix),
    '172.17.0.0/16',
  );
});

test('what the flags say: a named bridge, fixed-cidr, gateway, IPv6', () => {
  assert.throws(
    () => planBridge(settings({ bridge: 'br9' }), EMPTY, null),
    /bridge device with non default name br9 must be created manually/,
  );
  const host = { ...EMPTY, links: [link({ name: 'br9' })], addresses: [address(5, '10.3.0.1', 24)] };
  const named = planBridge(settings({ bridge: 'br9' }), host, null);
  assert.deepEqual(
    [named.own, named.operations, formatPrefix(named.ipv4.interface.prefix)],
    [false, [], '10.3.0.0/24'],
  );
  const fixed = planBridge(
    settings({ bip: '10.9.0.1/24', fixedCidr: '10.9.0.128/25', defaultGateway: '10.9.0.254' }),
    EMPTY,
    null,
  );
  assert.equal(formatPrefix(fixed.ipv4.range!), '10.9.0.128/25');
  assert.equal(formatAddress(fixed.ipv4.gateway), '10.9.0.254');
  assert.throws(
    () => planBridge(settings({ bip: '10.9.0.1/24', fixedCidr: '10.8.0.0/25' }), EMPTY, null),
    /fixed-cidr/,
  );
  assert.throws(() => planBridge(settings({ bip: '10.9.0.0/24' }), EMPTY, null), /own address/);
  assert.throws(() => planBridge(settings({ bip: 'x' }), EMPTY, null), /invalid CIDR/);
  const v6 = planBridge(settings({ ipv6: true, fixedCidrV6: 'fd01::/64' }), EMPTY, null);
  assert.equal(formatAddress(v6.ipv6!.gateway), 'fd01::1');
  assert.match(
    formatPrefix(planBridge(settings({ ipv6: true }), EMPTY, null).ipv6!.interface.prefix),
    /^fd.*\/64$/,
  );
});
