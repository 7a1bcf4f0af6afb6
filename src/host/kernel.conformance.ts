/**
 * What every implementation of the kernel's interface answers alike: run on the real one and on the recorder.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FirewallOperation, TableAddress } from './firewall-operations.ts';
import type { Kernel } from './kernel.ts';
import { isKernelError } from './kernel-error.ts';

export interface Subject {
  readonly name: string;
  readonly kernel: Kernel;
  /** Of descriptors the kernel gave. */
  close(fd: number): void;
}

const TABLE: TableAddress = { family: 'ip', name: 'conformance' };

function fails(code: string, work: () => unknown): void {
  assert.throws(work, (error: unknown) => isKernelError(error, code));
}

async function inFreshNetwork({ kernel, close }: Subject, work: (netns: number) => void): Promise<void> {
  const netns = await kernel.namespaces.createNetwork();
  try {
    work(netns);
  } finally {
    close(netns);
  }
}

export function kernelConformance(subject: Subject): void {
  linksConformance(subject);
  firewallConformance(subject);
  portAndProcessConformance(subject);
}

function linksConformance(subject: Subject): void {
  const { name } = subject;
  const { links } = subject.kernel;
  test(`${name}: links appear, change and go`, () =>
    inFreshNetwork(subject, (netns) => {
      links.apply(
        [
          { kind: 'addBridge', name: 'b0' },
          { kind: 'setUp', link: 'b0' },
        ],
        netns,
      );
      links.apply([{ kind: 'addAddress', link: 'b0', address: '10.1.0.1', prefixLength: 24 }], netns);
      const bridge = links.find('b0', netns);
      assert.deepEqual([bridge?.kind, bridge?.up], ['bridge', true]);
      assert.ok(
        links
          .addresses(netns)
          .some((record) => record.address === '10.1.0.1' && record.linkIndex === bridge?.index),
      );
      fails('EEXIST', () => links.apply([{ kind: 'addBridge', name: 'b0' }], netns));
      fails('ENODEV', () => links.apply([{ kind: 'setUp', link: 'b1' }], netns));
      links.apply([{ kind: 'removeLink', name: 'b0' }], netns);
      assert.deepEqual(
        links.list(netns).map((link) => link.name),
        ['lo'],
      );
    }));

  test(`${name}: a veth has an end in each namespace`, () =>
    inFreshNetwork(subject, (netns) => {
      links.apply([{ kind: 'addBridge', name: 'b0' }], netns);
      const peer = { netns, name: 'eth0', mac: '02:42:0a:01:00:02' };
      links.apply([{ kind: 'addVeth', name: 'v0', bridge: 'b0', peer }], netns);
      assert.equal(links.find('v0', netns)?.master, links.find('b0', netns)?.index);
      assert.equal(links.find('eth0', netns)?.mac, '02:42:0a:01:00:02');
      assert.equal(links.find('eth0', netns)?.up, false);
    }));
}

function firewallConformance(subject: Subject): void {
  const { name } = subject;
  const { firewall, namespaces } = subject.kernel;
  test(`${name}: a transaction is carried out whole or not at all`, () =>
    inFreshNetwork(subject, (netns) => {
      const set = { table: TABLE, set: 's', key: ['inet_service'], data: ['ipv4_addr'] } as const;
      const build: FirewallOperation[] = [
        { kind: 'addTable', table: TABLE },
        { kind: 'addTable', table: TABLE },
        {
          kind: 'addChain',
          table: TABLE,
          chain: 'c',
          base: { type: 'filter', hook: 'input', priority: 5, policy: 'accept' },
        },
        { kind: 'addSet', ...set },
        { kind: 'addElements', ...set, elements: [{ key: [80], data: ['10.0.0.1'] }] },
        { kind: 'addElements', ...set, elements: [{ key: [80], data: ['10.0.0.1'] }] },
        { kind: 'addRule', table: TABLE, chain: 'c', expressions: [{ kind: 'counter' }], comment: 'first' },
      ];
      const before = firewall.generation(netns);
      firewall.commit(build, netns);
      firewall.commit([], netns);
      assert.equal(firewall.generation(netns), before + 1);
      assert.deepEqual(
        firewall.dump(TABLE, netns).rules.map((rule) => rule.comment),
        ['first'],
      );
      const elements = (): unknown => namespaces.inNetwork(netns, () => firewall.elements(TABLE, 's'));
      assert.deepEqual(elements(), [{ key: [80], data: ['10.0.0.1'] }]);
      fails('EEXIST', () =>
        firewall.commit(
          [{ kind: 'addElements', ...set, elements: [{ key: [80], data: ['10.0.0.2'] }] }],
          netns,
        ),
      );
      const half: FirewallOperation[] = [
        { kind: 'flushSet', table: TABLE, set: 's' },
        { kind: 'deleteElements', ...set, elements: [{ key: [81] }] },
      ];
      fails('ENOENT', () => firewall.commit(half, netns));
      assert.deepEqual(elements(), [{ key: [80], data: ['10.0.0.1'] }]);
      firewall.commit([{ kind: 'deleteElements', ...set, elements: [{ key: [80] }] }], netns);
      assert.deepEqual(elements(), []);
      firewall.commit([{ kind: 'deleteTable', table: TABLE }], netns);
      assert.deepEqual(firewall.tables(netns), []);
      fails('ENOENT', () => firewall.commit([{ kind: 'deleteTable', table: TABLE }], netns));
    }));
}

function portAndProcessConformance(subject: Subject): void {
  const { name, close } = subject;
  const { links, namespaces, sockets, cgroups, processes } = subject.kernel;
  test(`${name}: a port has one holder`, () =>
    inFreshNetwork(subject, (netns) => {
      links.apply([{ kind: 'setUp', link: 'lo' }], netns);
      namespaces.inNetwork(netns, () => {
        const held = sockets.holdPort({ protocol: 'tcp', address: '0.0.0.0', port: 7000 });
        fails('EADDRINUSE', () => sockets.holdPort({ protocol: 'tcp', address: '127.0.0.1', port: 7000 }));
        const other = sockets.holdPort({ protocol: 'tcp', address: '::', port: 7000 });
        close(held.fd);
        close(other.fd);
      });
    }));

  test(`${name}: cgroups and processes`, async () => {
    const group = `/gantry-conformance-${process.pid}`;
    cgroups.create(`${group}/a/b`);
    assert.deepEqual(cgroups.list(`${group}/a`), ['b']);
    const child = await processes.spawn({
      path: '/bin/sleep',
      argv: ['sleep', '60'],
      env: {},
      cgroup: `${group}/a`,
    });
    assert.ok(processes.alive(child));
    assert.ok(processes.signal(child, 9));
    assert.deepEqual(await child.exited, { signal: 9 });
    assert.equal(processes.alive(child), false);
    await cgroups.remove(group);
    assert.equal(cgroups.exists(group), false);
  });
}
