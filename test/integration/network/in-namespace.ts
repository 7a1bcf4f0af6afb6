/*
 * Runs inside a network namespace of its own, started by `network.test.ts`. Everything here is real: the
 * kernel, the links, nftables, and programs that talk through them.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '#base/log.ts';
import { createKernel } from '#host/real.ts';
import type { NetworkSettings, Sandbox, SandboxRequest } from '#network/model.ts';
import { createNetworkService } from '#network/network-service.ts';
import type { NetworkService } from '#network/service.ts';

const kernel = createKernel();
const BRIDGE_FILTER = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const root = mkdtempSync(join(tmpdir(), 'gantry-network-'));
const children: ChildProcess[] = [];
const INSTANCE = 'c0ffee'.padEnd(64, '1');
const settings: NetworkSettings = {
  instance: INSTANCE,
  dataRoot: join(root, 'data'),
  execRoot: join(root, 'run'),
};
const open = (change: Partial<NetworkSettings> = {}): NetworkService =>
  createNetworkService({ kernel, log: silentLog, settings: { ...settings, ...change } });

/** A machine beside this one: 10.200.0.2, reaching us at 10.200.0.1. */
const outside = await kernel.namespaces.createNetwork();
kernel.links.apply([
  { kind: 'setUp', link: 'lo' },
  { kind: 'addVeth', name: 'lan0', peer: { netns: outside, name: 'eth0' } },
]);
kernel.links.apply([
  { kind: 'addAddress', link: 'lan0', address: '10.200.0.1', prefixLength: 24 },
  { kind: 'setUp', link: 'lan0' },
]);
kernel.links.apply(
  [
    { kind: 'setUp', link: 'lo' },
    { kind: 'addAddress', link: 'eth0', address: '10.200.0.2', prefixLength: 24 },
    { kind: 'setUp', link: 'eth0' },
    { kind: 'addRoute', link: 'eth0', destination: '172.17.0.0/16', gateway: '10.200.0.1' },
  ],
  outside,
);

after(() => {
  for (const child of children) child.kill('SIGKILL');
  closeSync(outside);
  rmSync(root, { recursive: true, force: true });
});

const enter = (netns: number | null): string[] =>
  netns === null ? [] : ['nsenter', `--net=/proc/${process.pid}/fd/${netns}`];

/** Runs a program in a namespace; its output, or null when it failed. */
function run(netns: number | null, ...argv: string[]): Promise<string | null> {
  const [program = '', ...rest] = [...enter(netns), ...argv];
  return new Promise((resolve) => {
    execFile(program, rest, { timeout: 5000 }, (error, stdout) => resolve(error === null ? stdout : null));
  });
}

/** HTTP by node itself: the wget of a static busybox may crash on its name service. */
const GET =
  'fetch(process.argv[1],{signal:AbortSignal.timeout(1500)}).then(async(r)=>process.stdout.write(await r.text())).catch(()=>process.exit(1))';
const fetchFrom = (netns: number | null, url: string) => run(netns, process.execPath, '-e', GET, url);
const ping = async (netns: number | null, address: string) =>
  (await run(netns, 'busybox', 'ping', '-c', '1', '-W', '3', address)) !== null;
/** UDP by node itself: not every busybox has a server and a client for it. */
const UDP_SERVER =
  "const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>s.send('answer',r.port,r.address));s.bind(53)";
const UDP_CLIENT =
  "const s=require('dgram').createSocket('udp4');s.on('message',(m)=>{console.log(String(m));s.close()});s.send('q',Number(process.argv[2]),process.argv[1]);setTimeout(()=>process.exit(1),2000).unref()";
const askUdp = (netns: number | null, address: string, port: number) =>
  run(netns, process.execPath, '-e', UDP_CLIENT, address, String(port));

async function serve(netns: number, ...argv: string[]): Promise<ChildProcess> {
  const [program = '', ...rest] = [...enter(netns), ...argv];
  const child = spawn(program, rest, { stdio: 'ignore' });
  children.push(child);
  await delay(200);
  return child;
}

function page(text: string): string {
  const directory = join(root, `www-${text}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'index.html'), text);
  return directory;
}

async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 2000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await delay(10);
  }
}

const request = (name: string, change: Partial<SandboxRequest> = {}): SandboxRequest => ({
  containerId: name.padEnd(64, '0'),
  name,
  mode: 'bridge',
  ...change,
});
/** `where` is `port` or `address:port`. */
const publish = (name: string, where: string, port = '80/tcp') => {
  const [hostPort = '', hostIp = ''] = where.split(':').reverse();
  return request(name, { exposedPorts: [port], portBindings: { [port]: [{ hostIp, hostPort }] } });
};
async function connected(service: NetworkService, wish: SandboxRequest): Promise<Sandbox> {
  const sandbox = await service.sandbox.prepare(wish);
  await service.sandbox.connect(sandbox.containerId);
  return sandbox;
}

const netnsOf = (sandbox: Sandbox): number => {
  assert.ok(sandbox.netnsFd !== null);
  return sandbox.netnsFd;
};
const idOf = (sandbox: Sandbox): string => sandbox.containerId;
const ipOf = (sandbox: Sandbox): string => sandbox.endpoints['bridge']?.ipv4Address ?? '';
const linkNames = (): string[] => kernel.links.list().map((link) => link.name);

test('neighbours, host, and the way out', async () => {
  const service = open();
  await service.boot();
  await service.restore([]);
  const a = await connected(service, request('a'));
  const b = await connected(service, request('b'));
  assert.deepEqual([ipOf(a), ipOf(b)], ['172.17.0.2', '172.17.0.3']);
  assert.equal(a.endpoints['bridge']?.macAddress, '02:42:ac:11:00:02');
  assert.ok(await ping(netnsOf(a), ipOf(b)), 'neighbour');
  assert.ok(await ping(netnsOf(a), '172.17.0.1'), 'gateway');
  assert.ok(await ping(null, ipOf(a)), 'from the host');
  // The machine outside has no route back but masquerading needs none.
  assert.ok(await ping(netnsOf(a), '10.200.0.2'), 'outside, masqueraded');
  assert.ok(!(await ping(outside, ipOf(a))), 'from outside: not published, so dropped');
  assert.equal(kernel.system.readSysctl('net/ipv4/ip_forward'), '1');
  const none = await connected(service, request('n', { mode: 'none' }));
  assert.ok(!(await ping(netnsOf(none), '172.17.0.1')));
  assert.ok(await ping(netnsOf(none), '127.0.0.1'));
  const shared = await connected(service, request('h', { mode: 'host' }));
  assert.equal(shared.netnsFd, null);
  const view = service.inspect('bridge');
  assert.deepEqual(
    Object.values(view.Containers).map((c) => [c.Name, c.IPv4Address]),
    [
      ['a', '172.17.0.2/16'],
      ['b', '172.17.0.3/16'],
    ],
  );
  assert.deepEqual(
    service.list().map((n) => n.Name),
    ['bridge', 'host', 'none'],
  );
  for (const sandbox of [a, b, none, shared]) await service.sandbox.release(idOf(sandbox));
  await until('links are gone', () => !linkNames().some((name) => name.startsWith('veth')));
  await service.close();
});

test('published ports: outside, host, loopback, neighbour, itself; UDP; conflicts', async () => {
  const service = open();
  await service.boot();
  await service.restore([]);
  const web = await connected(service, publish('web', '8080'));
  const local = await connected(service, publish('local', '127.0.0.1:8081'));
  const dns = await connected(service, publish('dns', '5353', '53/udp'));
  await serve(netnsOf(web), 'busybox', 'httpd', '-f', '-p', '80', '-h', page('web'));
  await serve(netnsOf(local), 'busybox', 'httpd', '-f', '-p', '80', '-h', page('local'));
  await serve(netnsOf(dns), process.execPath, '-e', UDP_SERVER);
  assert.deepEqual(
    web.ports.map((p) => `${p.hostIp}:${p.hostPort}`),
    ['0.0.0.0:8080', ':::8080'],
  );
  assert.equal(await fetchFrom(outside, 'http://10.200.0.1:8080/'), 'web', 'outside');
  assert.equal(await fetchFrom(null, 'http://10.200.0.1:8080/'), 'web', "host's address");
  assert.equal(await fetchFrom(null, 'http://127.0.0.1:8080/'), 'web', 'loopback');
  assert.equal(await fetchFrom(null, 'http://127.0.0.1:8081/'), 'local', 'bound to the loopback');
  assert.equal(
    await fetchFrom(outside, 'http://10.200.0.1:8081/'),
    null,
    'bound to the loopback, from outside',
  );
  assert.equal(await fetchFrom(netnsOf(local), 'http://172.17.0.1:8080/'), 'web', 'neighbour');
  assert.equal(
    await fetchFrom(netnsOf(local), 'http://10.200.0.1:8080/'),
    'web',
    "neighbour by the host's address",
  );
  assert.equal(await fetchFrom(netnsOf(web), 'http://10.200.0.1:8080/'), 'web', 'itself');
  assert.equal(
    await fetchFrom(outside, `http://${ipOf(web)}:80/`),
    null,
    "the container's own address, from outside",
  );
  assert.match((await askUdp(outside, '10.200.0.1', 5353)) ?? '', /answer/);
  assert.match((await askUdp(null, '127.0.0.1', 5353)) ?? '', /answer/);
  await assert.rejects(service.sandbox.prepare(publish('web2', '8080')), {
    message: new RegExp(
      '^failed to set up container networking: driver failed programming external connectivity on endpoint web2 ' +
        String.raw`\([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$`,
    ),
  });
  const busy = kernel.sockets.holdPort({ protocol: 'tcp', address: '0.0.0.0', port: 18181 });
  await assert.rejects(
    service.sandbox.prepare(publish('web3', '18181')),
    /failed to bind host port for 0\.0\.0\.0:18181:172\.17\.0\.\d+:80\/tcp: address already in use$/,
  );
  closeSync(busy.fd);
  // Somebody else on the host does not get our port.
  assert.throws(() => kernel.sockets.holdPort({ protocol: 'tcp', address: '0.0.0.0', port: 8080 }), {
    code: 'EADDRINUSE',
  });
  await service.sandbox.release(idOf(web));
  assert.equal(await fetchFrom(null, 'http://127.0.0.1:8080/'), null, 'released');
  const again = await connected(service, publish('web4', '8080'));
  for (const sandbox of [again, local, dns]) await service.sandbox.release(idOf(sandbox));
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await until('links are gone', () => !linkNames().some((name) => name.startsWith('veth')));
  await service.close();
});

test('a flushed ruleset is restored within two seconds', async () => {
  const service = open();
  await service.boot();
  await service.restore([]);
  const web = await connected(service, publish('web', '8080'));
  await serve(netnsOf(web), 'busybox', 'httpd', '-f', '-p', '80', '-h', page('web'));
  const table = 'gantry-c0ffee';
  const whole = (): string =>
    execFileSync('nft', ['list', 'table', 'inet', table], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const before = whole();
  for (const damage of [
    ['flush', 'ruleset'],
    ['flush', 'table', 'inet', table],
    ['flush', 'map', 'inet', table, 'any4'],
    ['flush', 'chain', 'inet', table, 'forward'],
  ]) {
    execFileSync('nft', damage);
    await until(damage.join(' '), () => {
      try {
        return whole() === before;
      } catch {
        return false;
      }
    });
    assert.equal(await fetchFrom(outside, 'http://10.200.0.1:8080/'), 'web', damage.join(' '));
  }
  // Another engine's policy: one accept in front of it, once.
  execFileSync('nft', [
    'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
  ]);
  await until('a way through', async () => (await fetchFrom(outside, 'http://10.200.0.1:8080/')) === 'web');
  await delay(300);
  assert.equal(
    execFileSync('nft', ['list', 'chain', 'ip', 'filter', 'FORWARD'], { encoding: 'utf8' }).match(
      /accept comment/g,
    )?.length,
    2,
  );
  execFileSync('nft', ['delete', 'table', 'ip', 'filter']);
  await service.sandbox.release(idOf(web));
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await service.close();
});

test('a new daemon takes over what runs, and sweeps what nobody names', async () => {
  const first = open();
  await first.boot();
  await first.restore([]);
  const kept = await connected(first, publish('kept', '8080'));
  const lost = await connected(first, publish('lost', '8082'));
  await serve(netnsOf(kept), 'busybox', 'httpd', '-f', '-p', '80', '-h', page('kept'));
  const holder = await serve(netnsOf(kept), 'sleep', '60');
  assert.ok(holder.pid !== undefined);
  first.sandbox.handedOver(idOf(kept), holder.pid);
  assert.equal(readlinkSync(kept.sandboxKey), `/proc/${holder.pid}/ns/net`);
  await first.close();
  assert.equal(await fetchFrom(outside, 'http://10.200.0.1:8080/'), 'kept', 'with no daemon');

  const second = open();
  await second.boot();
  const { netnsFd: _netns, heldPorts: _held, ...facts } = kept;
  await second.restore([JSON.parse(JSON.stringify(facts))]);
  const swept = await second.sweep();
  assert.deepEqual(swept, [`link ${lost.endpoints['bridge']?.hostLink}`]);
  assert.equal(await fetchFrom(outside, 'http://10.200.0.1:8080/'), 'kept', 'with the next daemon');
  assert.equal(second.inspect('bridge').Id, first.inspect('bridge').Id);
  const next = await connected(second, request('next'));
  assert.equal(ipOf(next), '172.17.0.3');
  await assert.rejects(second.sandbox.prepare(publish('again', '8080')), /port is already allocated/);
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await second.sandbox.release(idOf(kept));
  await second.sandbox.release(idOf(next));
  assert.ok(!existsSync(kept.sandboxKey));
  closeSync(netnsOf(lost));
  for (const fd of lost.heldPorts) closeSync(fd);
  await until('links are gone', () => !linkNames().some((name) => name.startsWith('veth')), 5000);
  await second.close();
});

test('an address rests until its link is gone, and a failed start leaves nothing', async () => {
  const service = open();
  await service.boot();
  await service.restore([]);
  const a = await connected(service, request('a'));
  await service.sandbox.release(idOf(a));
  const b = await connected(service, request('b'));
  assert.notEqual(ipOf(b), ipOf(a));
  await until('the link is gone', () => !linkNames().includes(a.endpoints['bridge']?.hostLink ?? ''));
  await until('the address is free again', async () => {
    const c = await connected(service, request('c'));
    await service.sandbox.release(idOf(c));
    return ipOf(c) === ipOf(a);
  });
  const links = linkNames().length;
  await assert.rejects(
    service.sandbox.prepare(request('d', { endpoint: { ipv4Address: '172.17.0.1' } })),
    /Address already in use/,
  );
  await assert.rejects(
    service.sandbox.prepare(request('d', { endpoint: { macAddress: 'x' } })),
    /invalid MAC address/,
  );
  await service.sandbox.release(idOf(b));
  await until(
    'links are gone',
    () => linkNames().length < links && !linkNames().some((name) => name.startsWith('veth')),
  );
  await service.close();
});

test('IPv6: neighbours, gateway, published ports', async () => {
  const service = open({ ipv6: true, fixedCidrV6: 'fd01::/64' });
  await service.boot();
  await service.restore([]);
  kernel.links.apply([{ kind: 'addAddress', link: 'lan0', address: 'fd02::1', prefixLength: 64 }]);
  kernel.links.apply([{ kind: 'addAddress', link: 'eth0', address: 'fd02::2', prefixLength: 64 }], outside);
  const web = await connected(service, publish('web', '8080'));
  const b = await connected(service, request('b'));
  const v6 = web.endpoints['bridge']?.ipv6Address ?? '';
  assert.equal(v6, 'fd01::2');
  assert.ok((await run(netnsOf(b), 'busybox', 'ping', '-6', '-c', '1', '-W', '2', v6)) !== null, 'neighbour');
  await serve(netnsOf(web), 'busybox', 'httpd', '-f', '-p', '80', '-h', page('web'));
  await until('outside', async () => (await fetchFrom(outside, 'http://[fd02::1]:8080/')) === 'web', 4000);
  assert.ok(
    (await run(netnsOf(b), 'busybox', 'ping', '-6', '-c', '1', '-W', '2', 'fd02::2')) !== null,
    'masqueraded',
  );
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const sandbox of [web, b]) await service.sandbox.release(idOf(sandbox));
  await service.close();
});

test("beside another engine's docker0; icc=false; no firewall; no bridge", async () => {
  const place = {
    instance: 'beef00'.padEnd(64, '2'),
    dataRoot: join(root, 'd2'),
    execRoot: join(root, 'r2'),
  };
  const other = open({ ...place, icc: false });
  // As on a host without br_netfilter: the firewall does not see what goes from port to port.
  if (existsSync(BRIDGE_FILTER)) writeFileSync(BRIDGE_FILTER, '0');
  await other.boot();
  await other.restore([]);
  assert.equal(other.inspect('bridge').Options['com.docker.network.bridge.name'], 'gantry-beef00');
  assert.equal(other.hostGateway(), '172.18.0.1');
  const a = await connected(other, request('a'));
  const b = await connected(other, request('b'));
  assert.ok(await ping(netnsOf(a), '172.18.0.1'));
  assert.ok(!(await ping(netnsOf(a), ipOf(b))), 'icc=false');
  const fetchable = await connected(other, publish('c', '8083'));
  await serve(netnsOf(fetchable), 'busybox', 'httpd', '-f', '-p', '80', '-h', page('c'));
  assert.equal(await fetchFrom(netnsOf(a), 'http://172.18.0.1:8083/'), 'c', 'a published port is one');
  await other.sandbox.release(idOf(fetchable));
  await other.close();
  const opened = open(place);
  await opened.boot();
  const facts = [a, b].map(({ netnsFd: _netns, heldPorts: _held, ...kept }) => kept);
  await opened.restore(facts);
  assert.ok(await ping(netnsOf(a), ipOf(b)), 'no longer icc=false');
  for (const sandbox of [a, b]) await opened.sandbox.release(idOf(sandbox));
  await opened.close();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  execFileSync('nft', ['flush', 'ruleset']);
  const bare = open({ iptables: false });
  await bare.boot();
  await bare.restore([]);
  assert.equal(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), '');
  await bare.close();
  const off = open({ bridge: 'none' });
  await off.boot();
  await off.restore([]);
  assert.deepEqual(
    off.list().map((n) => n.Name),
    ['host', 'none'],
  );
  const lone = await connected(off, request('x'));
  assert.deepEqual([lone.endpoints, lone.netnsFd !== null], [{}, true]);
  await off.sandbox.release(idOf(lone));
  await off.close();
});
