import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startService } from './service.ts';

const LABEL = ['cat', '/proc/self/attr/current'];

test('containers run under the AppArmor profile docker-default, which the daemon loads', async () => {
  await using service = await startService();
  const confined = await service.run({ Cmd: LABEL });
  assert.equal(confined.output.trim(), 'docker-default (enforce)');
  const inspected = (await service.must(`/containers/${confined.id}/json`)).json as {
    AppArmorProfile: string;
  };
  assert.equal(inspected.AppArmorProfile, 'docker-default');

  // What capabilities and seccomp would allow here, the profile denies.
  const mounting = await service.run({
    Cmd: ['mount', '-t', 'tmpfs', 'none', '/tmp'],
    HostConfig: { CapAdd: ['SYS_ADMIN'], SecurityOpt: ['seccomp=unconfined'] },
  });
  assert.notEqual(mounting.exit, 0);
  assert.match(mounting.output, /denied/i);
  const id = await service.launch({ Cmd: ['sleep', '1000'] });
  assert.equal((await service.exec(id, LABEL)).trim(), 'docker-default (enforce)');
  await service.must(`/containers/${id}/stop?t=1`, { method: 'POST' });

  const open = { Cmd: ['sleep', '1000'], HostConfig: { SecurityOpt: ['apparmor=unconfined'] } };
  assert.equal((await service.exec(await service.launch(open), LABEL)).trim(), 'unconfined');
  const free = await service.run({ Cmd: LABEL, HostConfig: { SecurityOpt: ['apparmor=unconfined'] } });
  assert.equal(free.output.trim(), 'unconfined');
  const privileged = await service.run({ Cmd: LABEL, HostConfig: { Privileged: true } });
  assert.equal(privileged.output.trim(), 'unconfined');
});

test('a profile that is not loaded is named in the error', async () => {
  await using service = await startService();
  const created = await service.must('/containers/create', {
    method: 'POST',
    body: { Image: 'busybox', Cmd: ['true'], HostConfig: { SecurityOpt: ['apparmor=no-such-profile'] } },
  });
  const { Id } = created.json as { Id: string };
  const started = await service.api(`/containers/${Id}/start`, { method: 'POST' });
  const { message } = started.json as { message: string };
  const text = 'unable to apply apparmor profile: apparmor failed to apply profile: ';
  assert.match(message, /^failed to create task for container: .*runc create failed: /);
  assert.ok(message.includes(text), message);
  assert.match(message, /no such file or directory/);
});
