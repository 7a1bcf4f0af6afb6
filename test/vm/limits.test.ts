import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
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
