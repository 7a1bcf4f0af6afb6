import assert from 'node:assert/strict';
import { closeSync, readdirSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import type { FirewallOperation, TableAddress } from '../firewall-operations.ts';
import { createKernel } from '../real.ts';
import { socketAddress } from './socket-address.ts';
import { interfaceIs, protocolIs, stateIs, statusIs, testSys } from './test-support.ts';

const kernel = createKernel();
const { links, firewall, namespaces } = kernel;

async function network(t: TestContext): Promise<number> {
  const netns = await namespaces.createNetwork();
  t.after(() => closeSync(netns));
  return netns;
}

const code = (name: string) => (error: unknown) => (error as { code?: string }).code === name;

test('a namespace of its own, and always back', async (t) => {
  const netns = await network(t);
  const home = namespaces.openNetwork(process.pid);
  t.after(() => closeSync(home));
  assert.notEqual(namespaces.identity(netns), namespaces.identity(home));
  assert.deepEqual(
    links.list(netns).map((link) => link.name),
    ['lo'],
  );
  const inside = namespaces.inNetwork(netns, () => namespaces.inNetwork(home, () => links.list().length));
  assert.equal(inside, links.list().length);
  assert.throws(
    () =>
      namespaces.inNetwork(netns, () => {
        throw new Error('inside');
      }),
    /inside/,
  );
  assert.throws(() => namespaces.inNetwork(netns, () => Promise.resolve()), TypeError);
  const now = namespaces.openNetwork(process.pid);
  assert.equal(namespaces.identity(now), namespaces.identity(home));
  closeSync(now);
});

test('bridge, veth into another namespace, addresses, routes', async (t) => {
  const host = await network(t);
  const box = await network(t);
  links.apply(
    [
      { kind: 'addBridge', name: 'br0', mac: '02:42:00:00:00:01', mtu: 1400, alias: 'owner' },
      { kind: 'addAddress', link: 'br0', address: '172.30.0.1', prefixLength: 16 },
      { kind: 'addAddress', link: 'br0', address: 'fd00:1::1', prefixLength: 64 },
      { kind: 'setUp', link: 'br0' },
      {
        kind: 'addVeth',
        name: 'veth0',
        bridge: 'br0',
        mtu: 1400,
        peer: { netns: box, name: 'eth0', mac: '02:42:ac:1e:00:02' },
      },
      { kind: 'setPort', link: 'veth0', hairpin: true, isolated: true },
    ],
    host,
  );
  links.apply(
    [
      { kind: 'setUp', link: 'lo' },
      { kind: 'addAddress', link: 'eth0', address: '172.30.0.2', prefixLength: 16 },
      { kind: 'addAddress', link: 'eth0', address: 'fd00:1::2', prefixLength: 64 },
      { kind: 'setUp', link: 'eth0' },
      { kind: 'addRoute', link: 'eth0', destination: '0.0.0.0/0', gateway: '172.30.0.1' },
      { kind: 'addRoute', link: 'eth0', destination: '::/0', gateway: 'fd00:1::1' },
      { kind: 'addRoute', link: 'eth0', destination: '10.9.0.0/24' },
    ],
    box,
  );
  const bridge = links.find('br0', host);
  const veth = links.find('veth0', host);
  assert.deepEqual(
    [bridge?.kind, bridge?.up, bridge?.mac, bridge?.mtu, bridge?.alias],
    ['bridge', true, '02:42:00:00:00:01', 1400, 'owner'],
  );
  assert.deepEqual([veth?.kind, veth?.up, veth?.master], ['veth', true, bridge?.index]);
  assert.equal(links.find('eth0', box)?.mac, '02:42:ac:1e:00:02');
  assert.equal(links.find('none', box), null);
  const addresses = links.addresses(box).map((one) => `${one.address}/${one.prefixLength}`);
  assert.ok(addresses.includes('172.30.0.2/16') && addresses.includes('fd00:1::2/64'));
  const routes = links.routes(box).map((route) => `${route.destination} ${route.gateway}`);
  assert.ok(
    routes.includes('0.0.0.0/0 172.30.0.1') &&
      routes.includes('::/0 fd00:1::1') &&
      routes.includes('10.9.0.0/24 '),
  );
  links.apply([{ kind: 'removeAddress', link: 'eth0', address: 'fd00:1::2', prefixLength: 64 }], box);
  assert.throws(
    () => links.apply([{ kind: 'addAddress', link: 'eth0', address: '172.30.0.2', prefixLength: 16 }], box),
    code('EEXIST'),
  );
  assert.throws(() => links.apply([{ kind: 'setUp', link: 'gone' }], host), code('ENODEV'));
});

test('a network is connected, or what was refused is said', async (t) => {
  const host = await network(t);
  links.apply([{ kind: 'addBridge', name: 'br0' }], host);
  const connect = (box: number, link: string): Promise<void> => {
    const made: Promise<void>[] = [];
    // The thread that makes it is born where we are.
    namespaces.inNetwork(host, () => {
      const pair = { kind: 'addVeth', name: link, bridge: 'br0', alias: 'owner', hairpin: true } as const;
      made.push(
        namespaces.connectNetwork(box, {
          outside: [{ ...pair, peer: { netns: box, name: 'eth0', mac: '02:42:ac:1e:00:02' } }],
          sysctls: [
            ['net/ipv4/conf/eth0/arp_notify', '1'],
            ['net/no/such', '1'],
          ],
          inside: [
            { kind: 'setUp', link: 'lo' },
            { kind: 'addAddress', link: 'eth0', address: '172.30.0.2', prefixLength: 16 },
            { kind: 'setUp', link: 'eth0' },
            { kind: 'addRoute', link: 'eth0', destination: '0.0.0.0/0', gateway: '172.30.0.1' },
          ],
        }),
      );
    });
    return made[0] ?? Promise.reject(new Error('not made'));
  };
  const box = await network(t);
  await connect(box, 'veth0');
  const veth = links.find('veth0', host);
  assert.deepEqual([veth?.up, veth?.alias, veth?.master], [true, 'owner', links.find('br0', host)?.index]);
  assert.equal(kernel.system.readSysctl('net/ipv4/conf/eth0/arp_notify', box), '1');
  assert.equal(links.find('lo', box)?.up, true);
  assert.ok(links.addresses(box).some(({ address }) => address === '172.30.0.2'));
  assert.ok(links.routes(box).some(({ gateway }) => gateway === '172.30.0.1'));
  const other = await network(t);
  const open = readdirSync('/proc/self/fd').length;
  await assert.rejects(connect(other, 'veth0'), code('EEXIST'));
  assert.equal(readdirSync('/proc/self/fd').length, open);
});

test('a watch tells links that go, and only those', async (t) => {
  const netns = await network(t);
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    const watch = namespaces.inNetwork(netns, () =>
      links.watchRemovals(({ name }) => {
        seen.push(name);
        watch.close();
        resolve();
      }),
    );
    links.apply(
      [
        { kind: 'addBridge', name: 'br9' },
        { kind: 'setUp', link: 'br9' },
        { kind: 'removeLink', name: 'br9' },
      ],
      netns,
    );
  });
  assert.deepEqual(seen, ['br9']);
});

const TABLE: TableAddress = { family: 'ip', name: 'gantry-test' };

const DNAT = { key: ['inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] } as const;

const OBJECTS: readonly FirewallOperation[] = [
  { kind: 'addTable', table: TABLE },
  { kind: 'addChain', table: TABLE, chain: 'ports' },
  { kind: 'addChain', table: TABLE, chain: 'more' },
  {
    kind: 'addChain',
    table: TABLE,
    chain: 'pre',
    base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
  },
  {
    kind: 'addChain',
    table: TABLE,
    chain: 'post',
    base: { type: 'nat', hook: 'postrouting', priority: 100 },
  },
  {
    kind: 'addChain',
    table: TABLE,
    chain: 'fwd',
    base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
  },
  { kind: 'addSet', table: TABLE, set: 'dnat', ...DNAT },
  { kind: 'addSet', table: TABLE, set: 'bridges', key: ['ifname'], data: 'verdict' },
];

const RULES: readonly FirewallOperation[] = [
  {
    kind: 'addRule',
    table: TABLE,
    chain: 'pre',
    expressions: [
      { kind: 'fib', of: 'daddr' },
      { kind: 'compare', op: 'eq', value: Buffer.from([2, 0, 0, 0]) },
      { kind: 'verdict', verdict: 'jump', chain: 'ports' },
    ],
    comment: 'to local addresses',
  },
  {
    kind: 'addRule',
    table: TABLE,
    chain: 'ports',
    expressions: [
      { kind: 'meta', key: 'l4proto', slot: 0 },
      { kind: 'payload', field: 'th dport', slot: 1 },
      { kind: 'lookup', set: 'dnat', slot: 0, data: 4 },
      { kind: 'counter' },
      { kind: 'dnat', family: 4, address: 4, port: 5 },
    ],
  },
  {
    kind: 'addRule',
    table: TABLE,
    chain: 'post',
    expressions: [...statusIs('dnat'), ...interfaceIs('oifname', 'br0', 'neq'), { kind: 'masquerade' }],
  },
  {
    kind: 'addRule',
    table: TABLE,
    chain: 'fwd',
    expressions: [
      { kind: 'meta', key: 'iifname' },
      { kind: 'verdictMap', set: 'bridges' },
    ],
  },
  {
    kind: 'addRule',
    table: TABLE,
    chain: 'fwd',
    expressions: [...protocolIs('tcp'), { kind: 'reject' }],
    insert: true,
  },
];

const ELEMENTS: readonly FirewallOperation[] = [
  {
    kind: 'addElements',
    table: TABLE,
    set: 'dnat',
    ...DNAT,
    elements: [{ key: [6, 8080], data: ['172.30.0.2', 80], comment: 'web' }],
  },
  {
    kind: 'addElements',
    table: TABLE,
    set: 'bridges',
    key: ['ifname'],
    data: 'verdict',
    elements: [
      { key: ['br0'], data: { verdict: 'accept' } },
      { key: ['br1'], data: { verdict: 'jump', chain: 'more' } },
    ],
  },
];

test('one transaction builds a table; its dump gives it back', async (t) => {
  const netns = await network(t);
  const before = firewall.generation(netns);
  firewall.commit([...OBJECTS, ...RULES, ...ELEMENTS], netns);
  assert.equal(firewall.generation(netns), before + 1);
  assert.deepEqual(firewall.tables(netns), [TABLE]);
  const { chains, rules } = firewall.dump(TABLE, netns);
  assert.deepEqual(chains.find((chain) => chain.name === 'fwd')?.base, {
    type: 'filter',
    hook: 'forward',
    priority: 0,
    policy: 'drop',
  });
  assert.equal(chains.find((chain) => chain.name === 'ports')?.base, null);
  assert.deepEqual(rules.map((rule) => rule.chain).sort(), ['fwd', 'fwd', 'ports', 'post', 'pre']);
  const commented = rules.find((rule) => rule.comment === 'to local addresses');
  assert.ok(commented !== undefined && commented.handle > 0n);
  const elements = namespaces.inNetwork(netns, () => firewall.elements(TABLE, 'dnat'));
  assert.deepEqual(elements, [{ key: [6, 8080], data: ['172.30.0.2', 80], comment: 'web' }]);
  const verdicts = namespaces.inNetwork(netns, () => firewall.elements(TABLE, 'bridges'));
  assert.equal(verdicts.length, 2);
  firewall.commit([{ kind: 'deleteRule', table: TABLE, chain: 'pre', handle: commented.handle }], netns);
  firewall.commit([{ kind: 'deleteTable', table: TABLE }], netns);
  assert.deepEqual(firewall.tables(netns), []);
});

test('a transaction with an error changes nothing and says which operation it was', async (t) => {
  const netns = await network(t);
  const missing = { family: 'ip', name: 'missing' } as const;
  const operations: FirewallOperation[] = [
    { kind: 'addTable', table: TABLE },
    { kind: 'deleteTable', table: missing },
  ];
  assert.throws(
    () => firewall.commit(operations, netns),
    (error: unknown) => code('ENOENT')(error) && /ip missing/.test(String(error)),
  );
  assert.deepEqual(firewall.tables(netns), []);
});

test('many elements travel in one transaction', async (t) => {
  const netns = await network(t);
  const key = ['ipv6_addr', 'inet_service'] as const;
  const elements = Array.from({ length: 5000 }, (_unused, index) => ({ key: ['fd00::1', index + 1] }));
  const table = { family: 'inet', name: 'many' } as const;
  const head: FirewallOperation[] = [
    { kind: 'addTable', table },
    { kind: 'addSet', table, set: 's', key },
  ];
  const chunks = Array.from(
    { length: 10 },
    (_unused, index): FirewallOperation => ({
      kind: 'addElements',
      table,
      set: 's',
      key,
      elements: elements.slice(index * 500, (index + 1) * 500),
    }),
  );
  firewall.commit([...head, ...chunks], netns);
  const count = () => namespaces.inNetwork(netns, () => firewall.elements(table, 's').length);
  assert.equal(count(), 5000);
  firewall.commit(
    [{ kind: 'deleteElements', table, set: 's', key, elements: elements.slice(0, 100) }],
    netns,
  );
  assert.equal(count(), 4900);
});

test('a watch reports foreign changes, not our own', async (t) => {
  const netns = await network(t);
  const table = { family: 'inet', name: 'own' } as const;
  let calls = 0;
  await namespaces.inNetwork(netns, () => {
    const done = new Promise<void>((resolve) => {
      const watch = firewall.watch(() => {
        calls += 1;
        watch.close();
        resolve();
      });
    });
    firewall.commit([{ kind: 'addTable', table }]);
    // With a namespace named, a commit is not counted as the daemon's own.
    const home = namespaces.openNetwork(process.pid);
    firewall.commit([{ kind: 'deleteTable', table }], home);
    closeSync(home);
    return { done };
  }).done;
  assert.equal(calls, 1);
});

test('deletes tracked connections by protocol and port', async (t) => {
  const netns = await network(t);
  const sys = testSys();
  links.apply([{ kind: 'setUp', link: 'lo' }], netns);
  // Connections are tracked only where a rule asks for it.
  firewall.commit(
    [
      { kind: 'addTable', table: TABLE },
      { kind: 'addChain', table: TABLE, chain: 'in', base: { type: 'filter', hook: 'input', priority: 0 } },
      { kind: 'addRule', table: TABLE, chain: 'in', expressions: [...stateIs('new'), { kind: 'counter' }] },
    ],
    netns,
  );
  namespaces.inNetwork(netns, () => {
    const { fd, port } = kernel.sockets.holdPort({ protocol: 'udp', address: '127.0.0.1', port: 0 });
    const to = socketAddress('127.0.0.1', port);
    sys.call('send', 'sendto', fd, Buffer.from('x'), 1, 0, to, to.length);
    closeSync(fd);
    assert.equal(firewall.forgetConnections({ protocol: 'udp', port: port - 1 }), 0);
    assert.equal(firewall.forgetConnections({ protocol: 'tcp', port }), 0);
    assert.equal(firewall.forgetConnections({ protocol: 'udp', port, address: '127.0.0.1' }), 1);
    assert.equal(firewall.forgetConnections({ protocol: 'udp', port }), 0);
  });
});

test('holds ports and names what is in the way', async (t) => {
  const netns = await network(t);
  links.apply([{ kind: 'setUp', link: 'lo' }], netns);
  const hold = (protocol: 'tcp' | 'udp', address: string, port: number) =>
    namespaces.inNetwork(netns, () => kernel.sockets.holdPort({ protocol, address, port }));
  const held = [
    hold('tcp', '0.0.0.0', 8080),
    hold('tcp', '::', 8080),
    hold('udp', '127.0.0.1', 8080),
    hold('tcp', '127.0.0.1', 0),
  ];
  t.after(() => held.forEach(({ fd }) => closeSync(fd)));
  assert.ok((held[3]?.port ?? 0) > 0);
  assert.throws(
    () => hold('tcp', '127.0.0.1', 8080),
    /EADDRINUSE: address already in use, (bind|listen) '127.0.0.1:8080'/,
  );
  assert.throws(() => hold('udp', '127.0.0.1', 8080), code('EADDRINUSE'));
  assert.throws(() => hold('tcp', '192.0.2.1', 8080), code('EADDRNOTAVAIL'));
});
