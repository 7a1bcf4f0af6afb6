import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  contains,
  formatAddress,
  formatPrefix,
  macFromIpv4,
  overlaps,
  parseAddress,
  parseInterface,
  parseMac,
  requireInterface,
} from './address.ts';

const prefix = (text: string) => requireInterface(text, 'test').prefix;

test('addresses are read and written in their canonical form', () => {
  const cases: Record<string, string | null> = {
    '172.17.0.2': '172.17.0.2',
    '0.0.0.0': '0.0.0.0',
    '255.255.255.255': '255.255.255.255',
    '1.2.3': null,
    '1.2.3.256': null,
    '01.2.3.4': null,
    '': null,
    '::': '::',
    '::1': '::1',
    'fe80::1': 'fe80::1',
    '2001:DB8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '1:2:3:4:5:6:7:8': '1:2:3:4:5:6:7:8',
    '1:0:2:3:4:5:6:7': '1:0:2:3:4:5:6:7',
    '::ffff:10.0.0.1': '::ffff:a00:1',
    '1::2::3': null,
    '1:2:3:4:5:6:7': null,
    '1:2:3:4:5:6:7:8:9': null,
    'fe80::1%eth0': null,
    ':::': null,
  };
  for (const [text, expected] of Object.entries(cases)) {
    const address = parseAddress(text);
    assert.equal(address === null ? null : formatAddress(address), expected, text);
  }
});

test('prefixes contain, overlap and print', () => {
  assert.equal(formatPrefix(prefix('10.9.8.7/12')), '10.0.0.0/12');
  assert.ok(contains(prefix('10.0.0.0/8'), { family: 4, value: 10n << 24n }));
  assert.ok(!contains(prefix('10.0.0.0/8'), { family: 4, value: 11n << 24n }));
  assert.ok(overlaps(prefix('172.16.0.0/12'), prefix('172.17.0.0/16')));
  assert.ok(!overlaps(prefix('172.16.0.0/16'), prefix('172.17.0.0/16')));
  assert.ok(!overlaps(prefix('0.0.0.0/0'), prefix('::/0')));
  assert.equal(parseInterface('10.0.0.1/33'), null);
  assert.equal(parseInterface('10.0.0.1'), null);
});

test('a MAC follows from the IPv4 address', () => {
  const address = parseAddress('172.17.0.2');
  assert.ok(address !== null);
  assert.equal(macFromIpv4(address), '02:42:ac:11:00:02');
  assert.equal(parseMac('92-D0-C6-0A-29-33'), '92:d0:c6:0a:29:33');
  assert.equal(parseMac('92:d0:c6:0a:29'), null);
});
