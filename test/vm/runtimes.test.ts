import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startService } from './service.ts';

const CONFIG = { runtimes: { crun: { path: '/usr/bin/crun' } } };
const BYTES = 64 << 20;
const SCRIPT = 'cat /sys/fs/cgroup/memory.max; exit 4';

test('our launcher by default, and runc and crun by name: limits, exit codes, execs, a new daemon', async () => {
  await using service = await startService({ config: CONFIG });
  const info = (await service.must('/info')).json as { DefaultRuntime: string };
  assert.equal(info.DefaultRuntime, 'gantry');
  const lasting: [string, string][] = [];
  for (const runtime of ['gantry', 'runc', 'crun']) {
    const chosen = ['run', '--rm', '--runtime', runtime, '-m', '64m', 'busybox', 'sh', '-c', SCRIPT];
    const finished = await service.gantry(chosen);
    assert.deepEqual([finished.exit, finished.stdout], [4, `${BYTES}\n`], `${runtime}: ${finished.stderr}`);
    const HostConfig = { Memory: BYTES, PidsLimit: 50, ...(runtime !== 'gantry' && { Runtime: runtime }) };
    const id = await service.launch({ Cmd: ['sleep', '1000'], HostConfig });
    const inspected = (await service.must(`/containers/${id}/json`)).json as {
      HostConfig: { Runtime: string };
    };
    assert.equal(inspected.HostConfig.Runtime, runtime);
    const limit = await readFile(`/sys/fs/cgroup/docker/${id}/pids.max`, 'utf8');
    assert.equal(limit.trim(), '50', runtime);
    lasting.push([runtime, id]);
  }
  await service.crash();
  for (const [runtime, id] of lasting) {
    const seen = await service.exec(id, ['sh', '-c', 'cat /proc/self/cgroup; ps']);
    assert.match(seen, /^0::\/\n[^]*sleep 1000/, runtime);
    await service.must(`/containers/${id}/stop?t=0`, { method: 'POST' });
    assert.equal((await service.state(id)).ExitCode, 137, runtime);
  }
  const missing = await service.api('/containers/create', {
    method: 'POST',
    body: { Image: 'busybox', HostConfig: { Runtime: 'none-such' } },
  });
  assert.equal(missing.status, 400);
});
