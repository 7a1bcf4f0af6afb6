import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KernelError } from '#host/kernel-error.ts';
import { addressesClash, parseContainerPorts, portWishes, type PortWishInput } from './port-bindings.ts';
import { PortClaims } from './port-claims.ts';

const input = (change: Partial<PortWishInput>): PortWishInput => ({
  portBindings: {},
  exposedPorts: [],
  publishAll: false,
  defaultHostIp: '',
  ipv6: true,
  ...change,
});

/** Stands for the host: `busy` ports are somebody else's. */
function host(busy: string[] = []) {
  const open = new Set<number>();
  const bound: string[] = [];
  let next = 100;
  const claims = new PortClaims({
    ephemeralRange: () => [32768, 32771],
    isServed: () => true,
    close: (fd) => open.delete(fd),
    hold: ({ protocol, address, port }) => {
      const name = `${address}:${port}/${protocol}`;
      if (busy.includes(name))
        throw new KernelError({
          code: 'EADDRINUSE',
          errno: 98,
          syscall: 'bind',
          reason: 'address already in use',
        });
      bound.push(name);
      open.add(++next);
      return next;
    },
  });
  return { claims, open, bound };
}

test('only exposed ports are published; every form of a binding', () => {
  const wishes = portWishes(
    input({
      exposedPorts: ['80/tcp', '53/udp', '9/sctp', '81'],
      portBindings: {
        '80/tcp': [
          { hostIp: '', hostPort: '8080' },
          { hostIp: '127.0.0.1', hostPort: '8000-8010' },
        ],
        '53/udp': [{ hostIp: '[::1]', hostPort: '' }],
        '7/tcp': [{ hostIp: '', hostPort: '7' }],
        '1/foo': [{ hostIp: '', hostPort: '7' }],
      },
    }),
  );
  assert.deepEqual(wishes, [
    { protocol: 'udp', containerPort: 53, hostIps: ['::1'], hostPorts: { first: 0, last: 0 } },
    {
      protocol: 'tcp',
      containerPort: 80,
      hostIps: ['0.0.0.0', '::'],
      hostPorts: { first: 8080, last: 8080 },
    },
    { protocol: 'tcp', containerPort: 80, hostIps: ['127.0.0.1'], hostPorts: { first: 8000, last: 8010 } },
  ]);
  assert.deepEqual(
    portWishes(
      input({ exposedPorts: ['90/udp', '80/tcp'], publishAll: true, ipv6: false, defaultHostIp: '10.0.0.1' }),
    ).map((w) => `${w.containerPort}/${w.protocol} ${w.hostIps}`),
    ['80/tcp 10.0.0.1', '90/udp 10.0.0.1'],
  );
});

test('wrong ports are refused', () => {
  assert.throws(() => parseContainerPorts('80/foo'), /invalid proto: foo/);
  assert.throws(() => parseContainerPorts('70000'), /invalid container port: 70000/);
  assert.throws(() => parseContainerPorts('9-8/tcp'), /invalid range/);
  assert.equal(parseContainerPorts('8000-8003/udp').length, 4);
  const one = (hostIp: string, hostPort: string) =>
    portWishes(input({ exposedPorts: ['80'], portBindings: { '80/tcp': [{ hostIp, hostPort }] } }));
  assert.throws(() => one('', '70000'), /invalid hostPort: 70000/);
  assert.throws(() => one('', 'x'), /invalid hostPort: x/);
  assert.throws(() => one('1.2.3', '80'), /invalid IP address: 1.2.3/);
});

test('one port is given out once, with the words of the reference', () => {
  const { claims, open } = host(['0.0.0.0:18181/tcp']);
  const wish = (hostIps: string[], port: number) => [
    { protocol: 'tcp' as const, containerPort: 80, hostIps, hostPorts: { first: port, last: port } },
  ];
  const first = claims.claim(wish(['0.0.0.0', '::'], 8080), '172.17.0.2');
  assert.equal(first.held.length, 2);
  assert.throws(() => claims.claim(wish(['127.0.0.1'], 8080), '172.17.0.3'), {
    message: 'Bind for 127.0.0.1:8080 failed: port is already allocated',
  });
  assert.throws(() => claims.claim(wish(['0.0.0.0'], 18181), '172.17.0.3'), {
    message: 'failed to bind host port for 0.0.0.0:18181:172.17.0.3:80/tcp: address already in use',
  });
  // A later wish that fails takes the earlier ones back.
  assert.throws(() => claims.claim([...wish(['0.0.0.0'], 8081), ...wish(['0.0.0.0'], 8080)], '172.17.0.3'));
  assert.equal(open.size, 2);
  claims.claim(wish(['0.0.0.0'], 8081), '172.17.0.3');
  claims.release(first.ports);
  assert.equal(claims.claim(wish(['0.0.0.0'], 8080), '172.17.0.3').ports.length, 1);
});

test('free ports in turn, ranges, exhaustion', () => {
  const { claims } = host(['0.0.0.0:32769/tcp']);
  const any = [
    { protocol: 'tcp' as const, containerPort: 80, hostIps: ['0.0.0.0'], hostPorts: { first: 0, last: 0 } },
  ];
  const take = () => claims.claim(any, '172.17.0.2').ports[0]?.hostPort;
  assert.deepEqual([take(), take(), take()], [32768, 32770, 32771]);
  assert.throws(take, { message: 'all ports are allocated' });
  const range = [{ ...any[0]!, hostPorts: { first: 9000, last: 9001 } }];
  assert.equal(claims.claim(range, 'x').ports[0]?.hostPort, 9000);
  assert.equal(claims.claim(range, 'x').ports[0]?.hostPort, 9001);
  assert.throws(() => claims.claim(range, 'x'), { message: 'all ports are allocated' });
});

test('restored ports are taken without being bound', () => {
  const { claims, bound } = host();
  const port = { protocol: 'udp' as const, containerPort: 53, hostIp: '0.0.0.0', hostPort: 5353 };
  claims.restore([port]);
  assert.deepEqual(bound, []);
  const wish = [
    {
      protocol: 'udp' as const,
      containerPort: 53,
      hostIps: ['0.0.0.0'],
      hostPorts: { first: 5353, last: 5353 },
    },
  ];
  assert.throws(() => claims.claim(wish, 'x'), /already allocated/);
  claims.release([port]);
  claims.claim(wish, 'x');
});

test('which addresses clash', () => {
  assert.ok(addressesClash('0.0.0.0', '127.0.0.1'));
  assert.ok(addressesClash('::', '::1'));
  assert.ok(!addressesClash('0.0.0.0', '::'));
  assert.ok(!addressesClash('10.0.0.1', '10.0.0.2'));
});
