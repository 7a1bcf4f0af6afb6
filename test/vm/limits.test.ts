import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { must, until } from '../support/command.ts';
import { startService } from './service.ts';

const MIB = 1 << 20;

test('limits stand in the files of cgroup v2, and an OOM kill is reported', async () => {
  await using service = await startService();
  const id = await service.launch({
    Cmd: ['sleep', '1000'],
    HostConfig: { Memory: 64 * MIB, NanoCpus: 500_000_000, PidsLimit: 50 },
  });
  const read = async (name: string): Promise<string> =>
    (await readFile(`/sys/fs/cgroup/docker/${id}/${name}`, 'utf8')).trim();
  assert.equal(await read('memory.max'), String(64 * MIB));
  assert.equal(await read('memory.swap.max'), String(64 * MIB));
  assert.equal(await read('cpu.max'), '50000 100000');
  assert.equal(await read('pids.max'), '50');
  assert.equal(await read('cgroup.procs'), String((await service.state(id)).Pid));
  assert.match(await service.exec(id, ['cat', '/proc/self/cgroup']), /^0::\/$/m);

  const hog = await service.run({
    Cmd: ['tail', '/dev/zero'],
    HostConfig: { Memory: 16 * MIB, MemorySwap: 16 * MIB },
  });
  assert.equal(hog.exit, 137, hog.output);
  assert.equal((await service.state(hog.id)).OOMKilled, true);

  const crowded = await service.run({
    Cmd: ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'],
    HostConfig: { PidsLimit: 4 },
  });
  assert.match(crowded.output, /can't fork/);
});

test('who has moved all processes to a leaf and hands out controllers still gets execs', async () => {
  await using service = await startService();
  const mountOptions = async (): Promise<string> =>
    /^cgroup2 \/sys\/fs\/cgroup cgroup2 (\S*)/m.exec(await readFile('/proc/mounts', 'utf8'))?.[1] ?? '';
  // As systemd mounts it; a runtime that mounts it in the host's cgroup namespace takes the options away.
  await must('mount', ['-o', 'remount,nsdelegate,memory_recursiveprot', '/sys/fs/cgroup']);
  const script = `cd /sys/fs/cgroup && mkdir init && echo 1 > init/cgroup.procs &&
    echo +memory > cgroup.subtree_control && touch /ready; exec sleep 1000`;
  const id = await service.launch({
    Cmd: ['sh', '-c', script],
    HostConfig: { Privileged: true, CgroupnsMode: 'private' },
  });
  const { Pid: pid } = await service.state(id);
  const group = `/sys/fs/cgroup/docker/${id}`;
  await until(
    async () => {
      const given = await readFile(`${group}/cgroup.subtree_control`, 'utf8');
      return given.includes('memory') ? true : undefined;
    },
    { what: 'the controllers of the leaf', timeoutMs: 60_000 },
  );
  assert.equal((await readFile(`${group}/init/cgroup.procs`, 'utf8')).trim(), String(pid));
  // A process that joined the namespace first would not find the cgroup it is to enter.
  const seen = await service.exec(id, ['sh', '-c', 'cat /proc/self/cgroup; ls -d /ready']);
  assert.match(seen, /^0::\/init\n(?:.*\n)*\/ready\n$/);
  await service.must(`/containers/${id}/stop?t=0`, { method: 'POST' });
  assert.equal((await service.state(id)).ExitCode, 137);
  const host = await service.run({ Cmd: ['true'], HostConfig: { CgroupnsMode: 'host' } });
  assert.equal(host.exit, 0);
  assert.match(await mountOptions(), /nsdelegate,memory_recursiveprot/);
});
