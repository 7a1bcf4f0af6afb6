import assert from 'node:assert/strict';
import { e2e } from '../support/e2e.ts';

interface View {
  readonly Id: string;
  readonly Config: { readonly Hostname: string };
  readonly HostConfig: { readonly NetworkMode: string; readonly IpcMode: string };
  readonly ResolvConfPath: string;
  readonly HostnamePath: string;
  readonly HostsPath: string;
  readonly NetworkSettings: {
    readonly SandboxID: string;
    readonly SandboxKey: string;
    readonly Networks: object;
  };
}

e2e("a joined network: the other's addresses, files and name, as inspect shows them", {}, async (daemon) => {
  const inspect = async (name: string): Promise<View> =>
    (await daemon.api(`/containers/${name}/json`)).json as View;
  await daemon.mustDocker(['run', '-d', '--name', 'donor', 'busybox', 'sleep', '1000']);
  await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'guest',
    '--network',
    'container:donor',
    'busybox',
    'sleep',
    '999',
  ]);
  const [donor, guest] = [await inspect('donor'), await inspect('guest')];
  assert.equal(guest.HostConfig.NetworkMode, `container:${donor.Id}`);
  assert.equal(guest.Config.Hostname, donor.Config.Hostname);
  for (const key of ['ResolvConfPath', 'HostnamePath', 'HostsPath'] as const)
    assert.equal(guest[key], donor[key]);
  const { SandboxID, SandboxKey, Networks } = guest.NetworkSettings;
  assert.deepEqual([SandboxID, SandboxKey, Networks], ['', '', {}]);
  const inside = async (command: string): Promise<string[]> =>
    await Promise.all(
      ['donor', 'guest'].map((name) => daemon.mustDocker(['exec', name, 'sh', '-c', command])),
    );
  for (const command of ['ip -o addr', 'cat /etc/hosts', 'hostname', 'readlink /proc/self/ns/net']) {
    const [a, b] = await inside(command);
    assert.equal(a, b, command);
  }
  await daemon.restart('SIGKILL');
  assert.equal((await inspect('guest')).HostsPath, donor.HostsPath);
  await daemon.mustDocker(['stop', '-t', '0', 'donor', 'guest']);
  const late = await daemon.docker(['start', 'guest']);
  assert.match(
    late.stderr,
    /cannot join network namespace of a non running container: container donor is exited/,
  );
  await daemon.mustDocker(['rm', 'donor']);
  const gone = await daemon.docker(['start', 'guest']);
  assert.match(gone.stderr, /joining network namespace of container: No such container: [0-9a-f]{64}/);
});

e2e('a joined IPC namespace: shareable donors only, one /dev/shm', {}, async (daemon) => {
  const donor = ['run', '-d', '--shm-size', '1m'];
  await daemon.mustDocker([...donor, '--name', 'closed', 'busybox', 'sleep', '1000']);
  await daemon.mustDocker([...donor, '--name', 'shared', '--ipc', 'shareable', 'busybox', 'sleep', '1000']);
  const refused = async (name: string, options: readonly string[]): Promise<string> => {
    const result = await daemon.docker(['run', '--name', name, ...options, 'busybox', 'true']);
    assert.equal(result.exit, 125);
    return result.stderr;
  };
  assert.match(
    await refused('r1', ['--ipc', 'container:closed']),
    /container [0-9a-f]{64}: non-shareable IPC \(hint: use IpcMode:shareable for the donor container\)/,
  );
  assert.match(await refused('r2', ['--ipc', 'container:nosuch']), /No such container: nosuch/);
  await daemon.mustDocker(['create', '--name', 'idle', '--ipc', 'shareable', 'busybox', 'true']);
  assert.match(
    await refused('r3', ['--ipc', 'container:idle']),
    /failed to join IPC namespace: container [0-9a-f]{64} is not running/,
  );
  assert.match(
    await refused('r4', ['--pid', 'container:idle']),
    /failed to join PID namespace: container [0-9a-f]{64} is not running/,
  );
  await daemon.mustDocker(['exec', 'shared', 'sh', '-c', 'echo note > /dev/shm/note']);
  const guest = ['run', '--rm', '--ipc', 'container:shared', 'busybox', 'sh', '-c'];
  const script =
    'cat /dev/shm/note; readlink /proc/self/ns/ipc; echo back > /dev/shm/back; df -k /dev/shm | tail -1';
  const [note, namespace, shm = ''] = (await daemon.mustDocker([...guest, script])).split('\n');
  assert.equal(note, 'note');
  assert.match(shm, /^shm +1024 /);
  const facts = await daemon.mustDocker([
    ...['exec', 'shared', 'sh', '-c'],
    'readlink /proc/self/ns/ipc; cat /dev/shm/back',
  ]);
  assert.equal(facts, `${namespace}\nback`);
  // A donor that put something else there is not followed.
  const evil = ['run', '-d', '--name', 'evil', '--privileged', '--ipc', 'shareable', 'busybox', 'sh', '-c'];
  await daemon.mustDocker([...evil, 'umount /dev/shm; rmdir /dev/shm; ln -s /etc /dev/shm; sleep 1000']);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.match(await refused('r5', ['--ipc', 'container:evil']), /\/dev\/shm/);
});
