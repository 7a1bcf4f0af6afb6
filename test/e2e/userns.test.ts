import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../support/command.ts';
import { e2e } from '../support/e2e.ts';
import type { TestDaemon } from '../support/daemon.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const FIRST_UID = 200_000;
const FIRST_GID = 300_000;
const SIZE = 65_536;

/** Accounts of the machine that the daemon sees, in a mount namespace of its own. */
const ACCOUNTS: Readonly<Record<string, string>> = {
  passwd: 'dockremap:x:995:994::/:/bin/false\n',
  group: 'dockremap:x:994:\n',
  subuid: `dockremap:${FIRST_UID}:${SIZE}\n`,
  subgid: `dockremap:${FIRST_GID}:${SIZE}\n`,
};

const folder = await mkdtemp(join(tmpdir(), 'gantry-userns-'));
const executable = join(folder, 'gantryd');
const REMAPPED = { executable, args: ['--userns-remap', 'default'] };

before(async () => {
  for (const [name, own] of Object.entries(ACCOUNTS)) {
    const host = name.startsWith('sub') ? '' : await readFile(join('/etc', name), 'utf8');
    await writeFile(join(folder, name), `${host}${own}`);
  }
  const binds = Object.keys(ACCOUNTS).map((name) => `mount --bind ${folder}/${name} /etc/${name}`);
  const inside = [...binds, `exec ${REPOSITORY}/bin/gantryd "$@"`].join('\n');
  await writeFile(
    executable,
    `#!/bin/sh\nexec unshare --mount --propagation private sh -ec '${inside}' sh "$@"\n`,
  );
  await chmod(executable, 0o755);
});
after(() => rm(folder, { recursive: true }));

const ownerOf = (path: string): [number, number] => [statSync(path).uid, statSync(path).gid];

/** In a throw-away container. */
async function inside(daemon: TestDaemon, script: string, flags: readonly string[] = []): Promise<string> {
  return await daemon.mustDocker(['run', '--rm', ...flags, 'busybox', 'sh', '-ec', script]);
}

e2e('ids: root inside, somebody without rights outside', REMAPPED, async (daemon) => {
  await daemon.mustDocker(['run', '-d', '--name', 'cc', 'busybox', 'sleep', '1000']);
  const pid = Number(await daemon.mustDocker(['inspect', '-f', '{{.State.Pid}}', 'cc']));
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  assert.match(status, new RegExp(`^Uid:\t${FIRST_UID}\t`, 'm'));
  assert.match(status, new RegExp(`^Gid:\t${FIRST_GID}\t`, 'm'));
  assert.equal(
    (await readFile(`/proc/${pid}/uid_map`, 'utf8')).trim().replace(/ +/g, ' '),
    `0 ${FIRST_UID} ${SIZE}`,
  );
  const exec = await daemon.mustDocker(['exec', 'cc', 'sh', '-c', 'id -u; id -g; cat /proc/self/gid_map']);
  assert.deepEqual(exec.split(/\s+/), ['0', '0', '0', String(FIRST_GID), String(SIZE)]);
  assert.equal(await daemon.mustDocker(['exec', '-u', '5:6', 'cc', 'sh', '-c', 'id -u; id -g']), '5\n6');
  assert.equal(
    await daemon.mustDocker(['exec', '-t', 'cc', 'sh', '-c', 'echo x > /dev/tty; tty']),
    'x\r\n/dev/pts/0',
  );
  const info = (await daemon.api('/info')).json as { SecurityOptions: string[] };
  assert.ok(info.SecurityOptions.includes('name=userns'), info.SecurityOptions.join());
  // Not even root of a container may look into another one's processes or change the host's settings.
  const denied = await daemon.docker(['exec', 'cc', 'sh', '-c', 'echo 1 > /proc/sys/kernel/panic']);
  assert.notEqual(denied.exit, 0);
});

e2e('files: shifted for who runs there, unshifted on the disk', REMAPPED, async (daemon) => {
  const script = [
    'stat -c "%u:%g" /bin/busybox /etc/hosts /etc/hostname /etc/resolv.conf /etc/mtab /dev/shm /dev/pts',
    'echo more:x:9:9::/: >> /etc/passwd; echo x > /etc/hosts; touch /new; chown 5:6 /new; mkdir -p /d/e; rm /etc/shadow',
    'echo out > /dev/stdout; echo err > /dev/stderr',
    'echo to-null > /dev/null; head -c 4 /dev/urandom | wc -c',
  ].join('; ');
  await daemon.mustDocker(['create', '--name', 'cc', '-w', '/made/for/it', 'busybox', 'sh', '-ec', script]);
  const result = await daemon.docker(['start', '-a', 'cc']);
  assert.equal(result.stderr, 'err\n');
  assert.deepEqual(result.stdout.trim().split('\n'), [...Array<string>(7).fill('0:0'), 'out', '4']);
  const upper = await daemon.mustDocker(['inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', 'cc']);
  for (const name of ['etc/passwd', 'd', 'd/e', 'made/for/it']) {
    assert.deepEqual(ownerOf(join(upper, name)), [0, 0], name);
  }
  assert.deepEqual(ownerOf(join(upper, 'new')), [5, 6]);
  assert.ok(statSync(join(upper, 'etc/shadow')).isCharacterDevice());
  assert.equal(
    (await daemon.docker(['start', '-a', 'cc'])).stderr,
    "rm: can't remove '/etc/shadow': No such file or directory\n",
  );
});

e2e('volumes belong to root of containers; what is bound is not shifted', REMAPPED, async (daemon) => {
  const own = join(daemon.root, 'own');
  await mkdir(own, { mode: 0o755 });
  writeFileSync(join(own, 'host'), 'x');
  const flags = [
    '-v',
    'named:/named',
    '-v',
    '/anonymous',
    '-v',
    `${own}:/own`,
    '-v',
    `${daemon.root}/made/here:/made`,
  ];
  const script =
    'touch /named/f /anonymous/f /made/f; stat -c %u:%g /named /anonymous /own /made; touch /own/f || echo no';
  assert.deepEqual((await inside(daemon, script, flags)).split('\n'), [
    '0:0',
    '0:0',
    '65534:65534',
    '0:0',
    'no',
  ]);
  const data = join(daemon.dataRoot, 'volumes/named/_data');
  for (const path of [data, join(data, 'f'), join(daemon.root, 'made'), join(daemon.root, 'made/here/f')]) {
    assert.deepEqual(ownerOf(path), [FIRST_UID, FIRST_GID], path);
  }
  assert.deepEqual(ownerOf(own), [0, 0]);
  assert.deepEqual(readdirSync(own), ['host']);
});

e2e('what containers can be asked for', REMAPPED, async (daemon) => {
  assert.equal(await inside(daemon, 'id -u; id -g', ['--user', '1000:1000']), '1000\n1000');
  assert.equal(
    await inside(daemon, 'touch /x 2>&1 || echo no', ['--read-only']),
    'touch: /x: Read-only file system\nno',
  );
  const tmpfs = ['--tmpfs', '/t:uid=7,gid=8,mode=700', '--mount', 'type=tmpfs,destination=/u'];
  assert.equal(await inside(daemon, 'stat -c %u:%g:%a /t /u; touch /u/f', tmpfs), '7:8:700\n0:0:1777');
  assert.equal(await inside(daemon, 'cat /proc/1/comm', ['--init']), 'docker-init');
  assert.equal(
    await inside(daemon, 'hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start', ['-h', 'me']),
    'me\n0',
  );
  assert.equal(
    await inside(daemon, 'cat /proc/sys/net/core/somaxconn', ['--sysctl', 'net.core.somaxconn=77']),
    '77',
  );
  assert.equal(await inside(daemon, 'ip link set lo down && echo made', ['--cap-add', 'NET_ADMIN']), 'made');
  assert.equal(await inside(daemon, 'stat -c %t:%T /dev/kmsg', ['--device', '/dev/kmsg']), '1:b');
  assert.equal(await inside(daemon, 'ip -o link | grep -c .', ['--network', 'none']), '1');
  assert.match(
    await inside(daemon, 'cat /proc/self/limits', ['--ulimit', 'nofile=99:99']),
    /Max open files +99 +99/,
  );
  const tty = await daemon.mustDocker([
    'run',
    '--rm',
    '-t',
    '-u',
    '9',
    'busybox',
    'sh',
    '-c',
    'tty; echo y > /dev/stdout',
  ]);
  assert.equal(tty, '/dev/pts/0\r\ny');
  const piped = await daemon.mustDocker(['run', '--rm', '-i', '-u', '9', 'busybox', 'cat', '/dev/stdin'], {
    input: 'fed',
  });
  assert.equal(piped, 'fed');
});

e2e(
  'networks: a published port, and containers that reach each other',
  { ...REMAPPED, images: ['busybox', 'web'] },
  async (daemon) => {
    await daemon.mustDocker(['run', '-d', '--name', 'ww', '-p', '198.18.0.1:8088:8080', 'gantry/web']);
    const address = await daemon.mustDocker([
      'inspect',
      '-f',
      '{{.NetworkSettings.Networks.bridge.IPAddress}}',
      'ww',
    ]);
    const page = await inside(daemon, `wget -qO- http://${address}:8080/`);
    assert.match(page, /hello/);
    const outside = await daemon.inNetwork([
      'curl',
      '-s',
      '-m',
      '5',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      'http://198.18.0.1:8088/',
    ]);
    assert.equal(outside.stdout, '200');
    const joined = [
      'run',
      '--rm',
      '--network',
      'container:ww',
      '--pid',
      'container:ww',
      'busybox',
      'sh',
      '-c',
    ];
    assert.equal(
      await daemon.mustDocker([
        ...joined,
        'wget -qO- http://127.0.0.1:8080/ | grep -c hello; wc -l < /proc/1/uid_map',
      ]),
      '1\n1',
    );
  },
);

e2e("the host's user namespace, and what a container may not share without it", REMAPPED, async (daemon) => {
  const refused = async (...flags: string[]): Promise<string> => {
    const { stderr, exit } = await daemon.docker(['run', '--rm', ...flags, 'busybox', 'true']);
    assert.equal(exit, 125);
    return stderr.split('\n')[0] ?? '';
  };
  const said = 'docker: Error response from daemon: ';
  assert.equal(
    await refused('--privileged'),
    `${said}privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode`,
  );
  assert.equal(
    await refused('--network', 'host'),
    `${said}cannot share the host's network namespace when user namespaces are enabled`,
  );
  assert.equal(
    await refused('--pid', 'host'),
    `${said}cannot share the host PID namespace when user namespaces are enabled`,
  );
  const host = ['--userns', 'host'];
  for (const flags of [[], ['--privileged'], ['--network', 'host'], ['--pid', 'host']]) {
    assert.match(await inside(daemon, 'cat /proc/self/uid_map', [...host, ...flags]), /^ +0 +0 +4294967295$/);
  }
  await daemon.mustDocker(['run', '-d', '--name', 'donor', ...host, 'busybox', 'sleep', '1000']);
  const guest = await daemon.docker(['run', '--rm', '--network', 'container:donor', 'busybox', 'true']);
  assert.match(guest.stderr, /runs in the host's user namespace: use --userns=host/);
  await inside(daemon, 'true', [...host, '--network', 'container:donor']);
  await daemon.mustDocker([
    'create',
    '--name',
    'hh',
    ...host,
    'busybox',
    'sh',
    '-c',
    'touch /f; stat -c %u /bin/sh /f',
  ]);
  assert.equal(await daemon.mustDocker(['start', '-a', 'hh']), '0\n0');
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.HostConfig.UsernsMode}}', 'hh']), 'host');
  await daemon.mustDocker(['create', '--name', 'rr', 'busybox', 'true']);
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{json .HostConfig.UsernsMode}}', 'rr']), '""');
});

e2e('they outlive the daemon', REMAPPED, async (daemon) => {
  await daemon.mustDocker(['run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'touch /kept; sleep 1000']);
  await daemon.restart('SIGKILL');
  assert.equal(await daemon.mustDocker(['exec', 'cc', 'stat', '-c', '%u', '/kept']), '0');
  await daemon.mustDocker(['restart', '-t', '0', 'cc']);
  assert.equal(await daemon.mustDocker(['exec', 'cc', 'stat', '-c', '%u', '/kept']), '0');
  assert.equal(
    await daemon
      .mustDocker(['exec', 'cc', 'cat', '/proc/self/uid_map'])
      .then((map) => Number(map.split(/\s+/)[2])),
    FIRST_UID,
  );
});

e2e(
  'vfs: one tree for each container, shifted as well',
  { ...REMAPPED, args: [...REMAPPED.args, '--storage-driver', 'vfs'] },
  async (daemon) => {
    await daemon.mustDocker([
      'run',
      '--name',
      'cc',
      'busybox',
      'sh',
      '-c',
      'touch /f; chown 3:4 /f; mkdir /d; stat -c %u /bin/busybox',
    ]);
    assert.equal(await daemon.mustDocker(['logs', 'cc']), '0');
    const id = await daemon.mustDocker(['inspect', '-f', '{{.Id}}', 'cc']);
    const found = join(daemon.dataRoot, 'vfs/dir', id);
    assert.deepEqual(ownerOf(join(found, 'f')), [3, 4]);
    assert.deepEqual(ownerOf(join(found, 'd')), [0, 0]);
  },
);

test('starts that are refused: whose ids nobody has, or none at all', async () => {
  const start = async (wish: string): Promise<string> => {
    const place = (name: string): string => join(folder, 'refused', name);
    const flags = ['--data-root', place('data'), '--exec-root', place('exec'), '--pidfile', place('pid')];
    const more = ['-H', `unix://${place('sock')}`, '--config-file', '/dev/null', '--userns-remap', wish];
    const { stderr, exit } = await run(executable, [...flags, ...more]);
    assert.equal(exit, 1);
    return stderr.trim().split('\n').at(-1) ?? '';
  };
  assert.equal(await start('a:b:c'), 'Invalid user/group specification in --userns-remap: "a:b:c"');
  assert.equal(
    await start('nosuch'),
    'Error during uid lookup for "nosuch": getent unable to find entry "nosuch" in passwd database',
  );
  assert.equal(await start('daemon'), 'Can\'t create ID mappings: no subuid ranges found for user "daemon"');
});

e2e(
  'the same container with and without: its files belong to whom they belonged',
  { executable },
  async (daemon) => {
    const remap = async (wish: string): Promise<void> => {
      await daemon.kill('SIGTERM');
      await writeFile(join(daemon.root, 'daemon.json'), JSON.stringify({ 'userns-remap': wish }));
      await daemon.start();
    };
    const script =
      'set -- $(cat /proc/self/uid_map); touch /run-$2; chown 9 /run-*; stat -c %u /bin/busybox /run-*';
    await daemon.mustDocker(['create', '--name', 'same', 'busybox', 'sh', '-ec', script]);
    assert.equal(await daemon.mustDocker(['start', '-a', 'same']), '0\n9');
    await remap('default');
    assert.equal(await daemon.mustDocker(['start', '-a', 'same']), '0\n9\n9');
    await remap('');
    assert.equal(await daemon.mustDocker(['start', '-a', 'same']), '0\n9\n9');
    const upper = await daemon.mustDocker(['inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', 'same']);
    for (const name of ['run-0', `run-${FIRST_UID}`]) assert.equal(ownerOf(join(upper, name))[0], 9, name);
  },
);

e2e('commit and export: owners are those inside', REMAPPED, async (daemon) => {
  const script = 'echo x >/mine; echo y >/theirs; chown 7:8 /theirs';
  await daemon.mustDocker(['run', '--name', 'c1', '--network', 'none', 'busybox', 'sh', '-ec', script]);
  assert.deepEqual((await daemon.mustDocker(['diff', 'c1'])).split('\n'), ['A /mine', 'A /theirs']);
  await daemon.mustDocker(['commit', 'c1', 'owned:1']);
  const look = ['run', '--rm', '--network', 'none', 'owned:1', 'stat', '-c', '%u:%g', '/mine', '/theirs'];
  assert.equal(await daemon.mustDocker(look), '0:0\n7:8');
  const file = `${daemon.root}/c1.tar`;
  await daemon.mustDocker(['export', '-o', file, 'c1']);
  const listed = (await run('tar', ['--numeric-owner', '-tvf', file])).stdout.split('\n');
  const owner = (name: string): string | undefined =>
    listed.find((line) => line.endsWith(` ${name}`))?.split(/ +/)[1];
  assert.deepEqual([owner('mine'), owner('theirs'), owner('bin/busybox')], ['0/0', '7/8', '0/0']);
});
