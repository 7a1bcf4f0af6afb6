import assert from 'node:assert/strict';
import { readlink } from 'node:fs/promises';
import { release } from 'node:os';
import { run } from '../../support/command.ts';
import { e2e } from '../../support/e2e.ts';

e2e('12: namespaces of its own, seen from the host', {}, async (daemon) => {
  const script = 'nc -l -p 7777 & exec sleep 600';
  const id = await daemon.mustDocker(['run', '-d', 'busybox', 'sh', '-c', script]);
  const pid = await daemon.mustDocker(['inspect', '-f', '{{.State.Pid}}', id]);
  for (const name of ['mnt', 'net', 'pid', 'ipc', 'uts']) {
    assert.notEqual(await readlink(`/proc/${pid}/ns/${name}`), await readlink(`/proc/self/ns/${name}`), name);
  }
  assert.equal(await readlink(`/proc/${pid}/ns/user`), await readlink('/proc/self/ns/user'));
  const listening = await run('nsenter', ['-t', pid, '-n', 'busybox', 'netstat', '-tln']);
  assert.match(listening.stdout, /:7777 /);

  const key = await daemon.mustDocker(['inspect', '-f', '{{.NetworkSettings.SandboxKey}}', id]);
  const throughKey = await run('nsenter', [`--net=${key}`, 'busybox', 'netstat', '-tln']);
  assert.match(throughKey.stdout, /:7777 /, key);

  assert.match(await daemon.mustDocker(['exec', id, 'cat', '/proc/1/cmdline']), /^sleep/);
  assert.equal(await daemon.mustDocker(['exec', id, 'uname', '-r']), release());
});
