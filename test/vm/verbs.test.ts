/** The rest of what a container can be told, and volumes and networks: each verb once. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../support/command.ts';
import { type Service, startService } from './service.ts';

const MIB = 1 << 20;
const SLEEP = ['sleep', '1000'];

const tell = (service: Service, verb: string, body?: unknown): Promise<unknown> =>
  service.must(`/containers/${verb}`, { method: 'POST', body });

async function status(service: Service, id: string): Promise<unknown> {
  return (await service.state(id)).Status;
}

test('pause, update, top, restart, rename, kill: what the kernel has of them', async () => {
  await using service = await startService();
  const id = await service.launch({ Cmd: SLEEP, HostConfig: { Memory: 64 * MIB, CpusetCpus: '0' } });
  const value = (name: string): string => readFileSync(`/sys/fs/cgroup/docker/${id}/${name}`, 'utf8').trim();
  await tell(service, `${id}/pause`);
  assert.deepEqual([await status(service, id), value('cgroup.freeze')], ['paused', '1']);
  await service.crash();
  assert.equal(await status(service, id), 'paused');
  await tell(service, `${id}/unpause`);
  assert.deepEqual([await status(service, id), value('cgroup.freeze')], ['running', '0']);

  assert.deepEqual([value('cpuset.cpus'), value('memory.swap.max')], ['0', String(64 * MIB)]);
  await tell(service, `${id}/update`, {
    ...{ Memory: 128 * MIB, MemorySwap: 160 * MIB, MemoryReservation: 32 * MIB, PidsLimit: 40 },
    ...{ CpuQuota: 25_000, CpuPeriod: 50_000, CpuShares: 512, CpusetCpus: '0-1' },
  });
  const names = ['memory.max', 'memory.swap.max', 'memory.low', 'pids.max', 'cpu.max', 'cpu.weight'];
  assert.deepEqual(
    [...names, 'cpuset.cpus'].map(value),
    [128 * MIB, 32 * MIB, 32 * MIB, 40, '25000 50000', 20, '0-1'].map(String),
  );
  const refused = await service.api(`/containers/${id}/update`, { method: 'POST', body: { Memory: 5 } });
  assert.equal(refused.status, 400);

  const top = (await service.must(`/containers/${id}/top`)).json as { Processes: string[][] };
  assert.deepEqual(
    top.Processes.map((row) => row.at(-1)),
    ['sleep 1000'],
  );
  const before = await service.state(id);
  await tell(service, `${id}/restart?t=0`);
  const after = await service.state(id);
  assert.equal(after.Status, 'running');
  assert.notEqual(after.Pid, before.Pid);
  assert.equal(value('memory.max'), String(128 * MIB), 'what was updated outlives a restart');
  await tell(service, `${id}/rename?name=other`);
  await tell(service, 'other/kill?signal=KILL');
  await until(async () => ((await status(service, id)) === 'exited' ? true : undefined), {
    what: 'the end of the container',
    timeoutMs: 60_000,
  });
  assert.equal((await service.state(id)).ExitCode, 137);
  assert.ok(!existsSync(`/sys/fs/cgroup/docker/${id}`));
});

test('a policy restarts; input, exit code and signals go through a client', async () => {
  await using service = await startService();
  const restarting = await service.launch({
    Cmd: ['sh', '-c', 'exit 4'],
    HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } },
  });
  const count = async (): Promise<unknown> =>
    ((await service.must(`/containers/${restarting}/json`)).json as { RestartCount: number }).RestartCount;
  await until(
    async () =>
      (await count()) === 2 && (await status(service, restarting)) === 'exited' ? true : undefined,
    { what: 'two restarts', timeoutMs: 120_000 },
  );
  const waiting = service.gantry(['run', '--rm', '--name', 'asleep', '--init', 'busybox', ...SLEEP]);
  await until(async () => ((await service.api('/containers/asleep/top')).status === 200 ? true : undefined), {
    what: 'a running container',
    timeoutMs: 120_000,
  });
  await tell(service, 'asleep/kill?signal=TERM');
  assert.equal((await waiting).exit, 143);
});

test('a terminal and its size, how an exec ended, events, and what the daemon says of itself', async () => {
  await using service = await startService();
  const since = Math.floor(Date.now() / 1000);
  const id = await service.launch({ Cmd: SLEEP, Tty: true });
  await tell(service, `${id}/resize?h=33&w=99`);
  assert.equal(await service.exec(id, ['sh', '-c', 'stty size < /proc/1/fd/0']), '33 99\n');
  const body = { Cmd: ['sh', '-c', 'exit 9'], AttachStdout: true };
  const { Id } = (await service.must(`/containers/${id}/exec`, { method: 'POST', body })).json as {
    Id: string;
  };
  await service.must(`/exec/${Id}/start`, { method: 'POST', body: { Detach: false } });
  const exec = (await service.must(`/exec/${Id}/json`)).json as { ExitCode: number; Running: boolean };
  assert.deepEqual([exec.ExitCode, exec.Running], [9, false]);

  const range = `since=${since}&until=${Math.ceil(Date.now() / 1000) + 1}`;
  const events = (await service.must(`/events?${range}`)).body.toString();
  const actions = [...events.matchAll(/"Action":"([^":]+)/g)].map(([, action]) => action);
  for (const action of ['create', 'start', 'resize', 'exec_start', 'exec_die'])
    assert.ok(actions.includes(action), `${action} in ${actions.join(' ')}`);
  const version = (await service.must('/version')).json as { KernelVersion: string };
  assert.match(version.KernelVersion, /^6\.1\./);
  const info = (await service.must('/info')).json as { CgroupVersion: string; SecurityOptions: string[] };
  assert.equal(info.CgroupVersion, '2');
  assert.ok(info.SecurityOptions.includes('name=apparmor'));
  assert.equal((await service.must('/_ping', { method: 'HEAD' })).status, 200);
});

test('volumes, networks, disk use, prunes', async () => {
  await using service = await startService();
  await service.must('/volumes/create', { method: 'POST', body: { Name: 'kept' } });
  const write = { Cmd: ['sh', '-c', 'echo v > /data/v'], HostConfig: { Binds: ['kept:/data'] } };
  assert.equal((await service.run(write)).exit, 0);
  const read = { Cmd: ['cat', '/data/v'], HostConfig: { Binds: ['kept:/data:ro'], Tmpfs: { '/t': '' } } };
  assert.equal((await service.run(read)).output, 'v\n');
  const { Mountpoint } = (await service.must('/volumes/kept')).json as { Mountpoint: string };
  assert.equal(readFileSync(`${Mountpoint}/v`, 'utf8'), 'v\n');

  const id = await service.launch({ Cmd: SLEEP });
  const bridge = (await service.must('/networks/bridge')).json as {
    Containers: Record<string, { IPv4Address: string }>;
  };
  const [address = ''] = bridge.Containers[id]?.IPv4Address.split('/') ?? [];
  const joined = { Cmd: ['ip', 'addr', 'show', 'eth0'], HostConfig: { NetworkMode: `container:${id}` } };
  assert.ok((await service.run(joined)).output.includes(address));
  assert.equal((await service.run({ Cmd: ['ping', '-c', '1', '-W', '30', address] })).exit, 0);
  const networks = (await service.must('/networks')).json as { Name: string }[];
  assert.deepEqual(networks.map(({ Name }) => Name).sort(), ['bridge', 'host', 'none']);

  assert.equal((await service.api('/networks/bridge', { method: 'DELETE' })).status, 403);

  await service.must('/volumes/create', { method: 'POST', body: { Name: 'gone' } });
  await service.must('/volumes/gone', { method: 'DELETE' });
  const { Volumes } = (await service.must('/volumes')).json as { Volumes: { Name: string }[] };
  assert.deepEqual(
    Volumes.map(({ Name }) => Name),
    ['kept'],
  );
  const usage = (await service.must('/system/df')).json as Record<string, unknown[]>;
  assert.deepEqual([usage['Images']?.length, usage['Volumes']?.length], [1, 1]);
  await service.must(`/containers/${id}?force=1`, { method: 'DELETE' });
  const pruned = (await service.must('/containers/prune', { method: 'POST' })).json as {
    ContainersDeleted: string[];
  };
  assert.equal(pruned.ContainersDeleted.length, 4);
  const all = encodeURIComponent(JSON.stringify({ all: ['true'] }));
  const volumes = await service.must(`/volumes/prune?filters=${all}`, { method: 'POST' });
  assert.deepEqual((volumes.json as { VolumesDeleted: string[] }).VolumesDeleted, ['kept']);
});
