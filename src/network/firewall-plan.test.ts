import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expression, FirewallOperation, SetElement } from '#host/firewall-operations.ts';
import { requireInterface } from './address.ts';
import { planWayThrough } from './firewall-neighbours.ts';
import { expectedElements, isForwarded, planPorts, planTable, type FirewallShape } from './firewall-plan.ts';

const prefix = (text: string) => requireInterface(text, 'test').prefix;
const SHAPE: FirewallShape = {
  name: 'gantry-ababab',
  bridge: 'docker0',
  subnet4: prefix('172.17.0.0/16'),
  subnet6: null,
  masquerade: true,
  icc: true,
  dropOtherForwarding: { ipv4: true, ipv6: false },
};

function word(e: Expression): string {
  switch (e.kind) {
    case 'meta':
    case 'ct':
      return e.slot ? `${e.key}>${e.slot}` : e.key;
    case 'payload':
      return e.slot ? `${e.field}>${e.slot}` : e.field;
    case 'fib':
      return `fib ${e.of}`;
    case 'bitwise':
      return `& ${e.mask.toString('hex')}`;
    case 'compare':
      return `${e.op} ${e.value.length === 16 ? e.value.toString().replaceAll('\0', '') : e.value.toString('hex')}`;
    case 'lookup':
      return `@${e.set}>${e.data ?? ''}`;
    case 'dnat':
      return `dnat${e.family} ${e.address}:${e.port ?? ''}`;
    case 'verdict':
      return e.verdict;
    case 'counter':
    case 'immediate':
    case 'log':
    case 'masquerade':
    case 'redirect':
    case 'reject':
    case 'setMark':
    case 'snat':
    case 'verdictMap':
      return e.kind;
  }
}

function shown(data: SetElement['data']): string {
  if (data === undefined) return '';
  return 'verdict' in data ? data.verdict : data.join(',');
}

/** A plan as text: what the golden values below are compared with. */
function text(operations: readonly FirewallOperation[]): string[] {
  return operations.map((o) => {
    if (o.kind === 'addRule') return `${o.chain}: ${o.expressions.map(word).join(' ')}`;
    if (o.kind === 'addChain')
      return `chain ${o.chain} ${o.base?.type} ${o.base?.hook} ${o.base?.priority} ${o.base?.policy}`;
    if (o.kind === 'addSet')
      return `map ${o.set} ${o.key.join('.')} : ${o.data === 'verdict' ? o.data : o.data?.join('.')}`;
    if (o.kind === 'addElements' || o.kind === 'deleteElements')
      return `${o.kind} ${o.set} ${o.elements.map((e) => `${e.key.join(' ')} -> ${shown(e.data)}`).join('; ')}`;
    return o.kind;
  });
}

test('the table of an IPv4 bridge', () => {
  assert.deepEqual(text(planTable(SHAPE, [])), [
    'addTable',
    'deleteTable',
    'addTable',
    'map any4 inet_proto.inet_service : ipv4_addr.inet_service',
    'map host4 inet_proto.ipv4_addr.inet_service : ipv4_addr.inet_service',
    'map loopback4 inet_proto.ipv4_addr.inet_service : ipv4_addr.inet_service',
    'chain raw filter prerouting -300 accept',
    'raw: iifname neq lo nfproto eq 02 ip daddr & ff000000 eq 7f000000 drop',
    'chain prerouting nat prerouting -100 accept',
    'prerouting: nfproto eq 02 l4proto ip daddr>1 th dport>2 @host4>8 dnat4 8:9',
    'prerouting: nfproto eq 02 fib daddr eq 02000000 l4proto th dport>1 @any4>8 dnat4 8:9',
    'chain output nat output -100 accept',
    'output: nfproto eq 02 l4proto ip daddr>1 th dport>2 @loopback4>8 dnat4 8:9',
    'output: nfproto eq 02 l4proto ip daddr>1 th dport>2 @host4>8 dnat4 8:9',
    'output: nfproto eq 02 fib daddr eq 02000000 l4proto th dport>1 @any4>8 dnat4 8:9',
    'chain forward filter forward 0 accept',
    'forward: oifname eq docker0 state & 06000000 neq 00000000 accept',
    'forward: oifname eq docker0 status & 20000000 neq 00000000 accept',
    'forward: iifname eq docker0 oifname eq docker0 accept',
    'forward: iifname eq docker0 accept',
    'forward: oifname eq docker0 drop',
    'forward: iifname eq 67616e7472792d accept',
    'forward: oifname eq 67616e7472792d accept',
    'forward: nfproto eq 02 drop',
    'chain postrouting nat postrouting 100 accept',
    'postrouting: nfproto eq 02 ip saddr & ff000000 eq 7f000000 oifname eq docker0 masquerade',
    'postrouting: nfproto eq 02 ip saddr & ffff0000 eq ac110000 oifname eq docker0 status & 20000000 neq 00000000 masquerade',
    'postrouting: nfproto eq 02 ip saddr & ffff0000 eq ac110000 oifname neq docker0 masquerade',
  ]);
});

test('IPv6 adds its own maps; icc=false and no masquerade change one rule each', () => {
  const six = text(
    planTable(
      {
        ...SHAPE,
        subnet6: prefix('fd01::/64'),
        icc: false,
        masquerade: false,
        dropOtherForwarding: { ipv4: false, ipv6: false },
      },
      [],
    ),
  );
  assert.ok(six.includes('map host6 inet_proto.ipv6_addr.inet_service : ipv6_addr.inet_service'));
  assert.ok(six.includes('prerouting: nfproto eq 0a l4proto ip6 daddr>1 th dport>5 @host6>8 dnat6 8:12'));
  assert.ok(
    six.includes('prerouting: nfproto eq 0a fib daddr eq 02000000 l4proto th dport>1 @any6>8 dnat6 8:12'),
  );
  assert.ok(six.includes('forward: iifname eq docker0 oifname eq docker0 drop'));
  assert.ok(!six.some((line) => line.includes('oifname neq docker0 masquerade')));
  assert.ok(!six.includes('forward: nfproto eq 02 drop'));
});

test('ports are elements, each in the map of its address', () => {
  const port = { protocol: 'tcp' as const, containerPort: 80, hostPort: 8080, containerIp: '172.17.0.2' };
  const ports = [
    { ...port, hostIp: '0.0.0.0' },
    { ...port, hostIp: '127.0.0.1', hostPort: 8081 },
    { ...port, hostIp: '10.1.1.1', protocol: 'udp' as const },
    { ...port, hostIp: '::' },
  ];
  assert.deepEqual(text(planPorts('addElements', SHAPE, ports)), [
    'addElements any4 6 8080 -> 172.17.0.2,80',
    'addElements loopback4 6 127.0.0.1 8081 -> 172.17.0.2,80',
    'addElements host4 17 10.1.1.1 8080 -> 172.17.0.2,80',
  ]);
  assert.deepEqual(text(planPorts('deleteElements', SHAPE, ports.slice(0, 1))), [
    'deleteElements any4 6 8080 -> ',
  ]);
  assert.deepEqual(
    [...expectedElements(SHAPE, ports)],
    [
      ['any4', 1],
      ['host4', 1],
      ['loopback4', 1],
    ],
  );
  assert.ok(!isForwarded({ ...port, hostIp: '::' }));
});

test("other people's drop: one accept each, once; or a finding", () => {
  const chain = { table: { family: 'ip' as const, name: 'filter' }, chain: 'FORWARD', comments: [] };
  const own = planWayThrough(SHAPE, [chain], 'own');
  assert.deepEqual(text(own.operations), [
    'FORWARD: iifname eq docker0 counter accept',
    'FORWARD: oifname eq docker0 counter accept',
  ]);
  const comments = own.operations.flatMap((o) => (o.kind === 'addRule' ? [o.comment ?? ''] : []));
  assert.deepEqual(planWayThrough(SHAPE, [{ ...chain, comments }], 'own').operations, []);
  assert.deepEqual(
    planWayThrough(SHAPE, [{ ...chain, table: { family: 'ip6', name: 'filter' } }], 'own').operations,
    [],
  );
  const respect = planWayThrough(SHAPE, [chain], 'respect');
  assert.equal(respect.operations.length, 0);
  assert.match(respect.findings[0]!.text, /nft insert rule ip filter FORWARD iifname docker0 accept/);
});
