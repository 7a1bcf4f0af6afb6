import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { must, run, until, type CommandResult } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { busyboxArchive } from '../../support/images.ts';

interface Info {
  readonly Labels: readonly string[];
  readonly Debug: boolean;
  readonly RegistryConfig: { readonly Mirrors: readonly string[] | null };
  readonly HttpsProxy: string;
}

async function info(daemon: TestDaemon): Promise<Info> {
  return (await daemon.api('/info')).json as Info;
}

/** A container that sleeps; its id and process. */
async function sleeper(daemon: TestDaemon, hostConfig: object = {}): Promise<{ id: string; pid: number }> {
  const { archive, reference } = await busyboxArchive();
  await daemon.loadImage(archive);
  const ports = { ExposedPorts: { '80/tcp': {} } };
  const body = { Image: reference, Cmd: ['sleep', '600'], ...ports, HostConfig: hostConfig };
  const created = await daemon.api('/containers/create', { method: 'POST', body });
  assert.equal(created.status, 201, created.body.toString());
  const { Id: id } = created.json as { Id: string };
  const started = await daemon.api(`/containers/${id}/start`, { method: 'POST' });
  assert.equal(started.status, 204, started.body.toString());
  return { id, pid: await pidOf(daemon, id) };
}

async function pidOf(daemon: TestDaemon, id: string): Promise<number> {
  return ((await daemon.api(`/containers/${id}/json`)).json as { State: { Pid: number } }).State.Pid;
}

test('SIGTERM and SIGINT leave containers running, and take socket and pid file away', async () => {
  await using daemon = await startDaemon();
  const pidFile = `${daemon.root}/gantry.pid`;
  assert.equal(Number(await readFile(pidFile, 'utf8')), daemon.pid);
  const { id, pid } = await sleeper(daemon);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    await daemon.kill(signal);
    assert.equal(existsSync(pidFile), false, signal);
    assert.equal(existsSync(daemon.socket), false, signal);
    assert.equal(existsSync(`/proc/${pid}`), true, signal);
    await daemon.start();
    assert.equal(await pidOf(daemon, id), pid, signal);
  }
});

test('SIGHUP takes labels and debug over, says what takes a restart, and survives a broken file', async () => {
  await using daemon = await startDaemon({ config: { labels: ['a=1'] } });
  const file = `${daemon.root}/daemon.json`;
  const hangUp = async (text: string): Promise<void> => {
    await writeFile(file, text);
    process.kill(daemon.pid, 'SIGHUP');
  };
  const logged = (what: RegExp): Promise<true> =>
    until(async () => (what.test(await daemon.log()) ? true : undefined), { what: String(what) });
  assert.deepEqual((await info(daemon)).Labels, ['a=1']);
  await hangUp('{"labels": ["b=2"], "debug": true, "mtu": 1400}');
  await logged(/configuration reloaded/);
  await logged(/takes a restart of the daemon.*network/);
  assert.deepEqual((await info(daemon)).Labels, ['b=2']);
  assert.equal((await info(daemon)).Debug, true);
  await daemon.api('/containers/nosuch/json');
  await logged(/"level":"debug".*nosuch/);
  await hangUp('{"debug": tru}');
  await logged(/the configuration stays as it was.*line 1, column/);
  await hangUp('{"default-runtime": "nosuch"}');
  await logged(/specified default runtime 'nosuch' does not exist/);
  assert.deepEqual((await info(daemon)).Labels, ['b=2']);
  await writeFile(file, '{}');
});

test('SIGHUP takes over what is said about registries, and the next pull heeds it', async () => {
  await using daemon = await startDaemon({ config: {} });
  assert.equal((await info(daemon)).RegistryConfig.Mirrors, null);
  const proxies = { 'https-proxy': 'http://user:secret@127.0.0.1:9' };
  const text = JSON.stringify({ 'registry-mirrors': ['http://127.0.0.1:7'], proxies });
  await writeFile(`${daemon.root}/daemon.json`, text);
  process.kill(daemon.pid, 'SIGHUP');
  await until(async () => ((await info(daemon)).RegistryConfig.Mirrors === null ? undefined : true), {
    what: 'the mirror',
  });
  const { RegistryConfig, HttpsProxy } = await info(daemon);
  assert.deepEqual(RegistryConfig.Mirrors, ['http://127.0.0.1:7/']);
  assert.equal(HttpsProxy, 'http://xxxxx:xxxxx@127.0.0.1:9');
  const pulled = await daemon.api('/images/create?fromImage=r.example/a&tag=b', { method: 'POST' });
  assert.equal(pulled.status, 500);
  assert.match(
    pulled.body.toString(),
    /proxyconnect tcp: dial tcp 127\.0\.0\.1:9: connect: connection refused/,
  );
});

test('--debug, --version, --help, unknown flags', async () => {
  assert.match((await run('bin/gantryd', ['--version'])).stdout, /^gantry version \d/);
  assert.match((await run('bin/gantryd', ['--help'])).stdout, /--data-root string/);
  const unknown = await run('bin/gantryd', ['--nosuch']);
  assert.equal(unknown.exit, 1);
  assert.match(unknown.stderr, /unknown flag: --nosuch/);
  await using daemon = await startDaemon({ args: ['--debug'] });
  assert.equal((await info(daemon)).Debug, true);
});

async function validate(text: string, args: readonly string[] = []): Promise<CommandResult> {
  const file = `/tmp/gt-validate-${process.pid}.json`;
  await writeFile(file, text);
  try {
    return await run('bin/gantryd', ['--validate', '--config-file', file, ...args]);
  } finally {
    await rm(file);
  }
}

test('--validate tells mistakes with line and column, by exit code 1', async () => {
  const good = await validate(
    '{"debug": true, "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 9, "Soft": 8}}}',
  );
  assert.deepEqual([good.exit, good.stdout], [0, 'configuration OK\n']);
  for (const [text, message] of [
    [
      '{\n  "debug": true,\n  "mtuu": 1\n}',
      /don't match any configuration option: mtuu\n {2}line 3, column 3: remove it/,
    ],
    ['{\n  "debug": 1\n}', /of type bool\n {2}line 2, column 3: give "debug" a value of the right type/],
    ['{\n  // why\n}', /line 2, column 3: JSON has no comments/],
    ['{"debug": true', /unexpected EOF\n {2}line 1, column 15/],
    ['{"default-ulimits": {"nofile": 3}}', /container.Ulimit\n {2}line 1, column 2/],
  ] as const) {
    const bad = await validate(text);
    assert.equal(bad.exit, 1, text);
    assert.equal(bad.stdout, '');
    assert.match(bad.stderr, message);
  }
  const both = await validate('{"debug": true}', ['--debug']);
  assert.equal(both.exit, 1);
  assert.match(both.stderr, /specified both as a flag and in the configuration file: debug/);
  const absent = await run('bin/gantryd', ['--validate', '--config-file', '/nosuch/daemon.json']);
  assert.equal(absent.exit, 1);
  assert.match(absent.stderr, /: open \/nosuch\/daemon.json: no such file or directory\n$/);
});

test('a pid file of a dead process is taken over, one of another daemon is not', async () => {
  await using daemon = await startDaemon();
  const other = { 'data-root': `${daemon.root}/d2`, 'exec-root': `${daemon.root}/e2` };
  const pidFile = `${daemon.root}/gantry.pid`;
  const flags = Object.entries(other).flatMap(([name, value]) => [`--${name}`, value]);
  const second = await run('bin/gantryd', [...flags, '--pidfile', pidFile, '-H', `unix://${daemon.root}/s2`]);
  assert.equal(second.exit, 1);
  assert.match(second.stderr, new RegExp(`process with PID ${daemon.pid} is still running`));
  assert.equal(Number(await readFile(pidFile, 'utf8')), daemon.pid, 'the first one keeps its file');
  await daemon.kill('SIGKILL');
  await writeFile(pidFile, '4194303');
  await daemon.start();
  assert.equal(Number(await readFile(pidFile, 'utf8')), daemon.pid);
});

/** Bridges of a network namespace, without the test's own. */
async function bridges(daemon: TestDaemon): Promise<string[]> {
  const links = await run('ip', ['-n', daemon.network, '-j', 'link', 'show', 'type', 'bridge']);
  return (JSON.parse(links.stdout) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((n) => n !== 'ext0');
}

/** A machine at 198.18.0.2, on the network outside of the daemon's host. */
async function machineOutside(daemon: TestDaemon): Promise<AsyncDisposable> {
  const name = `${daemon.name}-out`;
  await must('ip', ['netns', 'add', name]);
  for (const command of [
    `-n ${daemon.network} link add out0 type veth peer name eth0 netns ${name}`,
    `-n ${daemon.network} link set out0 master ext0 up`,
    `-n ${name} addr add 198.18.0.2/24 dev eth0`,
    `-n ${name} link set eth0 up`,
  ])
    await must('ip', command.split(' '));
  return { [Symbol.asyncDispose]: async () => void (await run('ip', ['netns', 'del', name])) };
}

test('two daemons side by side never meet', { timeout: 60_000 }, async () => {
  await using one = await startDaemon();
  await using two = await startDaemon({ neighbour: one });
  await using _outside = await machineOutside(one);
  const both = await bridges(one);
  assert.equal(both.length, 2, both.join(' '));
  assert.equal(both[0], 'docker0');
  assert.match(both[1] ?? '', /^gantry-[0-9a-f]{6}$/);
  const first = await sleeper(one, { PortBindings: { '80/tcp': [{ HostPort: '8081' }] } });
  const second = await sleeper(two, { PortBindings: { '80/tcp': [{ HostPort: '8082' }] } });
  for (const [daemon, own] of [
    [one, first],
    [two, second],
  ] as const) {
    const list = (await daemon.api('/containers/json?all=1')).json as { Id: string }[];
    assert.deepEqual(
      list.map(({ Id }) => Id),
      [own.id],
    );
    await daemon.restart('SIGKILL');
  }
  assert.equal(await pidOf(one, first.id), first.pid);
  assert.equal(await pidOf(two, second.id), second.pid);
  const tables = (await one.inNetwork(['nft', 'list', 'tables'])).stdout.match(/gantry-[0-9a-f]{6}/g) ?? [];
  assert.equal(new Set(tables).size, 2, 'a table of each');
  for (const [daemon, own] of [
    [one, first],
    [two, second],
  ] as const) {
    const ping = await daemon.docker(['exec', own.id, 'ping', '-c1', '-W3', '198.18.0.2']);
    assert.equal(ping.exit, 0, `a container reaches what lies behind the host: ${ping.stdout}`);
  }
  await one.api(`/containers/${first.id}?force=1`, { method: 'DELETE' });
  assert.equal(existsSync(`/proc/${second.pid}`), true);
  assert.match((await one.inNetwork(['nft', 'list', 'ruleset'])).stdout, /8082/);
});
