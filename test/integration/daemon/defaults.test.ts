import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startDaemon, type DaemonOptions, type TestDaemon } from '../../support/daemon.ts';
import { busyboxArchive } from '../../support/images.ts';

interface Spec {
  readonly process: {
    readonly noNewPrivileges?: boolean;
    readonly rlimits?: readonly object[];
    readonly args: string[];
  };
  readonly mounts: readonly { readonly destination: string; readonly options: readonly string[] }[];
  readonly linux: { readonly namespaces: readonly { readonly type: string }[] };
}

interface Inspected {
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly State: { readonly Pid: number };
}

async function started(
  daemon: TestDaemon,
  hostConfig: object,
): Promise<{ id: string; host: Inspected['HostConfig'] }> {
  const { reference } = await busyboxArchive();
  const body = { Image: reference, Cmd: ['sleep', '600'], HostConfig: hostConfig };
  const { Id: id } = (await daemon.api('/containers/create', { method: 'POST', body })).json as {
    Id: string;
  };
  const start = await daemon.api(`/containers/${id}/start`, { method: 'POST' });
  assert.equal(start.status, 204, start.body.toString());
  return { id, host: ((await daemon.api(`/containers/${id}/json`)).json as Inspected).HostConfig };
}

async function specOf(daemon: TestDaemon, id: string): Promise<Spec> {
  return JSON.parse(await readFile(`${daemon.execRoot}/tasks/${id}/config.json`, 'utf8')) as Spec;
}

const shmSize = ({ mounts }: Spec): string | undefined =>
  mounts
    .find(({ destination }) => destination === '/dev/shm')
    ?.options.find((option) => option.startsWith('size='));

test('defaults of the configuration hold for containers that do not say otherwise', {
  timeout: 60_000,
}, async () => {
  await using daemon = await startDaemon({
    config: {
      // What an OCI runtime is asked for lies in its config.json.
      'default-runtime': 'runc',
      'default-shm-size': '16M',
      'no-new-privileges': true,
      'default-ipc-mode': 'shareable',
      'default-cgroupns-mode': 'private',
      'default-ulimits': { nofile: { Name: 'nofile', Hard: 900, Soft: 800 } },
      'log-opts': { 'max-size': '1m', 'max-file': '2' },
      'init-path': '/bin/true',
      dns: ['198.18.0.53'],
      'dns-search': ['example.test'],
      'dns-opts': ['ndots:3'],
    },
    args: ['--init'],
  });
  await daemon.loadImage((await busyboxArchive()).archive);
  const { id, host } = await started(daemon, { Init: false });
  assert.equal(host['ShmSize'], 16 * 2 ** 20);
  assert.equal(host['IpcMode'], 'shareable');
  assert.equal(host['CgroupnsMode'], 'private');
  assert.deepEqual(host['LogConfig'], { Type: 'json-file', Config: { 'max-file': '2', 'max-size': '1m' } });
  const spec = await specOf(daemon, id);
  assert.equal(spec.process.noNewPrivileges, true);
  assert.deepEqual(spec.process.rlimits, [{ type: 'RLIMIT_NOFILE', hard: 900, soft: 800 }]);
  assert.equal(shmSize(spec), `size=${16 * 2 ** 20}`);
  assert.ok(spec.linux.namespaces.some(({ type }) => type === 'cgroup'));
  const resolv = await readFile(`${daemon.dataRoot}/containers/${id}/resolv.conf`, 'utf8');
  assert.match(resolv, /^nameserver 198\.18\.0\.53$/m);
  assert.match(resolv, /^search example\.test$/m);
  assert.match(resolv, /^options ndots:3$/m);

  const own = await started(daemon, {
    Init: false,
    ShmSize: 2 ** 20,
    SecurityOpt: ['no-new-privileges=false'],
    CgroupnsMode: 'host',
    Ulimits: [{ Name: 'nofile', Hard: 70, Soft: 60 }],
  });
  const ownSpec = await specOf(daemon, own.id);
  assert.equal(ownSpec.process.noNewPrivileges ?? false, false);
  assert.deepEqual(ownSpec.process.rlimits, [{ type: 'RLIMIT_NOFILE', hard: 70, soft: 60 }]);
  assert.equal(shmSize(ownSpec), `size=${2 ** 20}`);
});

for (const [name, options, message] of [
  [
    'a default runtime nobody defined',
    { args: ['--default-runtime', 'x'] },
    /specified default runtime 'x' does not exist/,
  ],
  [
    'a runtime called runc',
    { config: { runtimes: { runc: { path: '/x' } } } },
    /runtime name 'runc' is reserved/,
  ],
  ['a runtime without a path', { config: { runtimes: { x: {} } } }, /runtime x: a path is required/],
  [
    'a log driver of the reference',
    { args: ['--log-driver', 'syslog'] },
    /"syslog" is not available in this engine/,
  ],
  [
    'an unknown log option',
    { args: ['--log-opt', 'nosuch=1'] },
    /unknown log opt 'nosuch' for json-file log driver/,
  ],
  [
    'the systemd cgroup driver',
    { args: ['--exec-opt', 'native.cgroupdriver=systemd'] },
    /is not supported: this engine/,
  ],
  [
    'an init program that is not there',
    { args: ['--init-path', '/nosuch'] },
    /init program \/nosuch does not exist/,
  ],
] satisfies [string, DaemonOptions, RegExp][]) {
  test(`${name} is refused at the start`, async () => {
    await assert.rejects(startDaemon(options), message);
  });
}

test('a second runtime: its path is shown, containers may ask for it, and it may be the default', async () => {
  await using daemon = await startDaemon({
    config: { runtimes: { other: { path: '/usr/sbin/runc' } }, 'default-runtime': 'other' },
  });
  await daemon.loadImage((await busyboxArchive()).archive);
  const info = (await daemon.api('/info')).json as {
    Runtimes: Record<string, { path: string }>;
    DefaultRuntime: string;
  };
  assert.equal(info.Runtimes['other']?.path, '/usr/sbin/runc');
  assert.equal(info.DefaultRuntime, 'other');
  assert.equal((await started(daemon, {})).host['Runtime'], 'other');
  assert.equal((await started(daemon, { Runtime: 'runc' })).host['Runtime'], 'runc');
});

test('options without effect are said in the log, and nothing else', async () => {
  await using daemon = await startDaemon({ args: ['--metrics-addr', '127.0.0.1:1', '--live-restore=false'] });
  assert.match(await daemon.log(), /has no effect in this engine yet.*metrics-addr/);
  assert.match(await daemon.log(), /has no effect in this engine yet.*live-restore/);
});
