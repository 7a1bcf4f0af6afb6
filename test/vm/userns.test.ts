import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startService } from './service.ts';

/** On this kernel layers are named in a mount namespace, where newer ones take their descriptors. */
test('userns-remap makes its user, and files are shifted for containers only', async () => {
  await using service = await startService({ config: { 'userns-remap': 'default' } });
  const ranges = await readFile('/etc/subuid', 'utf8');
  const [, first = '', size = ''] = /^dockremap:(\d+):(\d+)$/m.exec(ranges) ?? [];
  assert.equal(size, '65536', ranges);
  for (const runtime of ['runc', 'gantry']) {
    const body = {
      Cmd: ['sh', '-ec', 'touch /f; chown 3:4 /f; echo x >> /etc/group; stat -c %u /bin/sh /f /etc/group'],
      HostConfig: { Runtime: runtime },
    };
    const { id, exit, output } = await service.run(body);
    assert.deepEqual([exit, output], [0, '0\n3\n0\n'], runtime);
    const upper = join(service.dataRoot, 'overlay2', id, 'diff');
    assert.equal((await stat(join(upper, 'f'))).uid, 3);
    assert.equal((await stat(join(upper, 'etc/group'))).uid, 0);
    const asleep = await service.launch({ Cmd: ['sleep', '1000'], HostConfig: { Runtime: runtime } });
    const { Pid: pid } = await service.state(asleep);
    assert.match(await readFile(`/proc/${String(pid)}/status`, 'utf8'), new RegExp(`^Uid:\t${first}\t`, 'm'));
    assert.equal((await service.exec(asleep, ['id', '-u'])).trim(), '0');
  }
});
