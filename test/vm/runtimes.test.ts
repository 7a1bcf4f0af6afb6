import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startService } from './service.ts';

test('crun serves beside runc', async () => {
  await using service = await startService({ config: { runtimes: { crun: { path: '/usr/bin/crun' } } } });
  const HostConfig = { Runtime: 'crun', Memory: 64 << 20 };
  const finished = await service.run({ Cmd: ['sh', '-c', 'echo by crun; exit 4'], HostConfig });
  assert.deepEqual([finished.exit, finished.output], [4, 'by crun\n']);
  const id = await service.launch({ Cmd: ['sleep', '1000'], HostConfig });
  assert.match(await service.exec(id, ['ps']), /sleep 1000/);
  await service.crash();
  await service.must(`/containers/${id}/stop?t=0`, { method: 'POST' });
  assert.equal((await service.state(id)).ExitCode, 137);
  const missing = await service.api('/containers/create', {
    method: 'POST',
    body: { Image: 'busybox', HostConfig: { Runtime: 'none-such' } },
  });
  assert.equal(missing.status, 400);
});
