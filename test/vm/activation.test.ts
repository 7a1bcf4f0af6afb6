import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, until } from '../support/command.ts';
import { startService } from './service.ts';

test('systemd opens the socket, and a stopped daemon comes back with the next client', async () => {
  await using service = await startService({ isSocketActivated: true });
  const id = await service.launch({ Cmd: ['sleep', '1000'] });
  const before = await service.state(id);
  await must('systemctl', ['stop', 'gantry.service']);
  await until(async () => ((await service.pid()) === 0 ? true : undefined), {
    what: 'the end of the daemon',
  });
  const after = await service.state(id);
  assert.deepEqual([after.Status, after.Pid], ['running', before.Pid]);
  assert.notEqual(await service.pid(), 0);
});
