import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { must, until } from '../support/command.ts';
import { startService } from './service.ts';

test('a container runs: output, exit code, exec, the layers of an overlay without lowerdir+', async () => {
  await using service = await startService({ images: ['busybox', 'hello'] });
  const greeted = await service.run({ Image: 'gantry/hello', HostConfig: { Memory: 64 << 20 } });
  assert.equal(greeted.exit, 0, greeted.output);
  assert.match(greeted.output, /memory limit {2}64 MiB/);
  const shown = await service.run({
    Image: 'gantry/hello',
    Cmd: ['sh', '-c', 'grep " / overlay " /proc/mounts && echo x > /bin/greet && exit 7'],
  });
  assert.equal(shown.exit, 7, shown.output);
  assert.match(shown.output, /^overlay \/ overlay rw/);

  const id = await service.launch({ Cmd: ['sh', '-c', 'echo started; exec sleep 1000'] });
  assert.match(await service.exec(id, ['ps']), /sleep 1000/);
  assert.equal(await service.logs(id), 'started\n');
  const client = await service.gantry(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; exit 3']);
  assert.deepEqual([client.exit, client.stdout], [3, 'out\n'], client.stderr);
});

test('whole trees instead of layers, on a host whose mounts are all shared', async () => {
  await using service = await startService({ config: { 'storage-driver': 'vfs' } });
  assert.match((await must('findmnt', ['-no', 'PROPAGATION', '/'])).trim(), /^shared/);
  for (const runtime of ['gantry', 'runc']) {
    const body = { Cmd: ['sh', '-c', 'echo x > /x && cat /x'], HostConfig: { Runtime: runtime } };
    const { exit, output } = await service.run(body);
    assert.deepEqual([exit, output], [0, 'x\n'], runtime);
  }
});

test('containers outlive SIGKILL of the daemon, and what ended meanwhile is known', async () => {
  await using service = await startService();
  const lasting = await service.launch({ Cmd: ['sh', '-c', 'echo one; exec sleep 1000'] });
  const ending = await service.launch({
    Cmd: ['sh', '-c', 'while [ ! -e /go ]; do sleep 0.1; done; exit 5'],
  });
  const before = await service.state(lasting);
  await service.exec(ending, ['touch', '/go']);
  await service.crash();
  const after = await service.state(lasting);
  assert.deepEqual([after.Status, after.Pid], ['running', before.Pid]);
  assert.ok(existsSync(`/proc/${String(after.Pid)}`));
  assert.match(await service.exec(lasting, ['ps']), /sleep 1000/);
  assert.equal(await service.logs(lasting), 'one\n');
  await until(async () => ((await service.state(ending)).Status === 'exited' ? true : undefined), {
    what: 'the exit of the other container',
  });
  assert.equal((await service.state(ending)).ExitCode, 5);
});
