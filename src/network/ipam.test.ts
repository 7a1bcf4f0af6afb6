import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, formatPrefix, parseAddress, requireInterface, type Address } from './address.ts';
import { DEFAULT_ADDRESS_POOLS, firstFreeSubnet, IpamPool } from './ipam.ts';

const prefix = (text: string) => requireInterface(text, 'test').prefix;
function at(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address !== null);
  return address;
}
const pool = (subnet: string, reserved: string[] = [], range?: string) =>
  new IpamPool({
    subnet: prefix(subnet),
    reserved: reserved.map(at),
    range: range === undefined ? undefined : prefix(range),
  });

test('the first free subnet of the pools', () => {
  const choose = (...taken: string[]) =>
    formatPrefix(firstFreeSubnet(DEFAULT_ADDRESS_POOLS, taken.map(prefix)));
  assert.equal(choose(), '172.17.0.0/16');
  assert.equal(choose('172.17.5.0/24'), '172.18.0.0/16');
  assert.equal(choose('172.17.0.0/16', '172.18.0.0/16', '172.19.0.1/32', '172.20.0.0/16'), '172.21.0.0/16');
  assert.equal(choose('172.16.0.0/12'), '192.168.0.0/20');
  assert.equal(choose('172.16.0.0/12', '192.168.1.0/24', '192.168.16.0/20'), '192.168.32.0/20');
  assert.throws(() => choose('0.0.0.0/0'), /all predefined address pools have been fully subnetted/);
});

test('the lowest free address, never network, broadcast or gateway', () => {
  const p = pool('10.0.0.0/29', ['10.0.0.1']);
  const got = Array.from({ length: 5 }, () => formatAddress(p.allocate()));
  assert.deepEqual(got, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
  assert.throws(() => p.allocate(), {
    kind: 'invalidArgument',
    message: "no available IPv4 addresses on this network's address pools",
  });
  p.release(at('10.0.0.3'), { rest: false });
  assert.equal(formatAddress(p.allocate()), '10.0.0.3');
});

test('a resting address comes back only when its link is gone', () => {
  const p = pool('10.0.0.0/24', ['10.0.0.1']);
  const first = p.allocate();
  p.release(first, { rest: true });
  assert.equal(formatAddress(p.allocate()), '10.0.0.3');
  p.rested(first);
  assert.equal(formatAddress(p.allocate()), '10.0.0.2');
  assert.equal(p.restingCount, 0);
});

test('addresses asked for by name, restored ones, a range', () => {
  const p = pool('10.0.0.0/24', ['10.0.0.1'], '10.0.0.128/25');
  p.request(at('10.0.0.7'));
  assert.throws(() => p.request(at('10.0.0.7')), {
    kind: 'permissionDenied',
    message: 'Address already in use',
  });
  assert.throws(() => p.request(at('10.0.1.7')), /no configured subnet/);
  assert.throws(() => p.request(at('10.0.0.1')), /already in use/);
  assert.equal(formatAddress(p.allocate()), '10.0.0.128');
  assert.equal(p.restore(at('10.0.0.129')), true);
  assert.equal(p.restore(at('10.0.0.129')), false);
  assert.equal(formatAddress(p.allocate()), '10.0.0.130');
});

test('IPv6 has no broadcast, and a /31 uses both addresses', () => {
  const v6 = pool('fd00::/126', ['fd00::1']);
  assert.deepEqual([v6.allocate(), v6.allocate()].map(formatAddress), ['fd00::2', 'fd00::3']);
  const p2p = pool('10.0.0.0/31');
  assert.deepEqual([p2p.allocate(), p2p.allocate()].map(formatAddress), ['10.0.0.0', '10.0.0.1']);
});

test('a full /16 is filled in linear time', () => {
  const p = pool('172.17.0.0/16', ['172.17.0.1']);
  for (let i = 0; i < 65533; i++) p.allocate();
  assert.throws(() => p.allocate(), /no available IPv4 addresses/);
});
