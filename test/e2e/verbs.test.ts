import assert from 'node:assert/strict';
import { lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run as runCommand, type CommandResult } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { e2e } from '../support/e2e.ts';
import { imageArchive } from '../support/images.ts';

/** Under script(1), whose input stays open: at its end script may drop what the terminal still prints. */
function inTerminal(daemon: TestDaemon, commandLine: string): Promise<CommandResult> {
  const quoted = commandLine.replaceAll("'", `'\\''`);
  return runCommand('sh', ['-c', `sleep 2 | script -qec '${quoted}' /dev/null`], { env: daemon.clientEnv() });
}

e2e('run: environment, user, working directory, entrypoint, labels, limits', {}, async (daemon) => {
  const run = (...args: string[]): Promise<string> => daemon.mustDocker(['run', '--rm', ...args]);
  await writeFile(`${daemon.root}/envfile`, 'A=1\nB=two words\n# comment\n');
  const environment = await run('-e', 'C=3', '--env-file', `${daemon.root}/envfile`, 'busybox', 'env');
  for (const line of ['A=1', 'B=two words', 'C=3', 'HOME=/root'])
    assert.ok(environment.split('\n').includes(line), line);
  assert.equal(await run('-u', 'nobody', 'busybox', 'id', '-un'), 'nobody');
  assert.equal(await run('-u', '1000:1001', 'busybox', 'sh', '-c', 'id -u; id -g'), '1000\n1001');
  assert.equal(await run('-w', '/made/here', 'busybox', 'pwd'), '/made/here');
  assert.equal(await run('--entrypoint', 'echo', 'busybox', 'from', 'entrypoint'), 'from entrypoint');
  assert.equal(await run('-h', 'myhost', 'busybox', 'hostname'), 'myhost');
  assert.equal(await run('--pids-limit', '50', '-l', 'a=b', 'busybox', 'echo', 'ok'), 'ok');
  assert.match(
    await run('--read-only', 'busybox', 'sh', '-c', 'touch /x 2>&1 || true'),
    /Read-only file system/,
  );
  const bits = await run(
    '--cap-drop',
    'ALL',
    '--cap-add',
    'NET_ADMIN',
    'busybox',
    'grep',
    'CapEff',
    '/proc/self/status',
  );
  assert.match(bits, /0000000000001000$/);
  assert.match(await run('--privileged', 'busybox', 'grep', 'Seccomp:', '/proc/self/status'), /0$/);
  assert.match(await run('busybox', 'grep', 'Seccomp:', '/proc/self/status'), /2$/);
});

e2e('run: standard input, exit codes, signals', {}, async (daemon) => {
  const cat = await daemon.docker(['run', '--rm', '-i', 'busybox', 'cat'], { input: 'through\n' });
  assert.deepEqual([cat.exit, cat.stdout], [0, 'through\n']);
  const megabytes = Buffer.alloc(8_000_000, 'abcdefg\n');
  const counted = await daemon.docker(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { input: megabytes });
  assert.equal(counted.stdout.trim(), '8000000');
  const both = await daemon.docker(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
  assert.deepEqual([both.exit, both.stdout, both.stderr], [7, 'out\n', 'err\n']);
  const much = await daemon.docker([
    'run',
    '--rm',
    'busybox',
    'sh',
    '-c',
    'yes 0123456789 | head -c 20000000 | md5sum; yes 0123456789 | head -c 5000000',
  ]);
  assert.equal(much.stdout.length, 5_000_000 + much.stdout.indexOf('\n') + 1);
});

e2e('run -t: a terminal', {}, async (daemon) => {
  const command = `docker run --rm -it busybox sh -c 'tty; stty size; echo done'`;
  const result = await inTerminal(daemon, `stty rows 33 cols 99; ${command}`);
  assert.match(result.stdout, /\/dev\/pts\/0\r\n33 99\r\ndone\r\n/);
});

e2e('mounts: binds, read-only binds, tmpfs, a made source', {}, async (daemon) => {
  await writeFile(`${daemon.root}/file`, 'from the host');
  const bind = `${daemon.root}:/host`;
  assert.equal(
    await daemon.mustDocker(['run', '--rm', '-v', bind, 'busybox', 'cat', '/host/file']),
    'from the host',
  );
  const readOnly = await daemon.docker(['run', '--rm', '-v', `${bind}:ro`, 'busybox', 'touch', '/host/x']);
  assert.match(readOnly.stderr, /Read-only file system/);
  const mount = ['--mount', `type=bind,source=${daemon.root},target=/m,readonly`];
  assert.equal(
    await daemon.mustDocker(['run', '--rm', ...mount, 'busybox', 'cat', '/m/file']),
    'from the host',
  );
  await daemon.mustDocker(['run', '--rm', '-v', `${daemon.root}/new:/new`, 'busybox', 'touch', '/new/f']);
  assert.equal((await runCommand('ls', [`${daemon.root}/new`])).stdout, 'f\n');
});

e2e('create, start, attach, stop, kill, wait, rename, rm', {}, async (daemon) => {
  const id = await daemon.mustDocker([
    'create',
    '--name',
    'cc',
    '-i',
    'busybox',
    'sh',
    '-c',
    'read x; echo got $x; exit 5',
  ]);
  const attached = await daemon.docker(['start', '-a', '-i', 'cc'], { input: 'word\n' });
  assert.deepEqual([attached.exit, attached.stdout], [5, 'got word\n']);
  assert.equal(await daemon.mustDocker(['wait', 'cc']), '5');
  await daemon.mustDocker(['rename', 'cc', 'dd']);
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.Name}} {{.Id}}', 'dd']), `/dd ${id}`);
  await daemon.mustDocker(['rm', 'dd']);

  await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'ss',
    'busybox',
    'sh',
    '-c',
    'trap "exit 9" TERM; while :; do sleep 0.1; done',
  ]);
  assert.equal(await daemon.mustDocker(['stop', 'ss']), 'ss');
  assert.equal(await daemon.mustDocker(['wait', 'ss']), '9');
  await daemon.mustDocker(['start', 'ss']);
  await daemon.mustDocker(['kill', '-s', 'KILL', 'ss']);
  assert.equal(await daemon.mustDocker(['wait', 'ss']), '137');
  const printing = daemon.docker([
    'run',
    '--name',
    'pp',
    'busybox',
    'sh',
    '-c',
    'sleep 1; echo late; exit 3',
  ]);
  const also = await daemon
    .docker(['wait', 'pp'])
    .then(async (r) => (r.exit === 0 ? r : daemon.docker(['attach', 'pp'])));
  assert.equal((await printing).exit, 3);
  assert.ok(also.exit === 0 || also.exit === 1 || also.exit === 3);
});

e2e('attach: two clients see the same; detach keys leave it running', {}, async (daemon) => {
  await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'aa',
    'busybox',
    'sh',
    '-c',
    'sleep 1; for i in 1 2 3; do echo l$i; done; exit 4',
  ]);
  const clients = await Promise.all([daemon.docker(['attach', 'aa']), daemon.docker(['attach', 'aa'])]);
  for (const client of clients) assert.deepEqual([client.exit, client.stdout], [4, 'l1\nl2\nl3\n']);
  await daemon.mustDocker(['run', '-dit', '--name', 'tt', 'busybox', 'sh']);
  const keys = `(sleep 1; printf 'echo a-word\\n'; sleep 1; printf '\\020\\021') | script -qec 'docker attach tt' /dev/null`;
  const detached = await runCommand('sh', ['-c', keys], { env: daemon.clientEnv() });
  assert.match(detached.stdout, /a-word/);
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.State.Running}}', 'tt']), 'true');
});

e2e(
  'exec: output, input, detached, environment, user, directory, terminal, exit codes',
  {},
  async (daemon) => {
    await daemon.mustDocker(['run', '-d', '--name', 'ee', 'busybox', 'sleep', '600']);
    assert.equal(
      await daemon.mustDocker([
        'exec',
        '-e',
        'X=y',
        '-w',
        '/tmp',
        '-u',
        '1',
        'ee',
        'sh',
        '-c',
        'echo $X $(pwd) $(id -u)',
      ]),
      'y /tmp 1',
    );
    const input = await daemon.docker(['exec', '-i', 'ee', 'cat'], { input: 'in\n' });
    assert.equal(input.stdout, 'in\n');
    assert.equal((await daemon.docker(['exec', 'ee', 'sh', '-c', 'exit 6'])).exit, 6);
    assert.equal((await daemon.docker(['exec', 'ee', 'nosuch'])).exit, 127);
    await daemon.mustDocker(['exec', '-d', 'ee', 'sh', '-c', 'echo made > /made']);
    const terminal = await inTerminal(daemon, 'docker exec -it ee tty');
    assert.match(terminal.stdout, /\/dev\/pts\//);
    assert.equal(await daemon.mustDocker(['exec', 'ee', 'cat', '/made']), 'made');
  },
);

e2e(
  'networks: none, host, bridge; neighbours and the host answer by address',
  { images: ['busybox', 'web'] },
  async (daemon) => {
    const none = await daemon.mustDocker(['run', '--rm', '--network', 'none', 'busybox', 'ip', '-o', 'link']);
    assert.deepEqual(
      none.split('\n').map((line) => line.split(': ')[1]),
      ['lo'],
    );
    assert.match(
      await daemon.mustDocker(['run', '--rm', '--network', 'host', 'busybox', 'ip', '-o', 'link']),
      / ext0: /,
    );
    await daemon.mustDocker(['run', '-d', '--name', 'ww', 'gantry/web']);
    const address = await daemon.mustDocker([
      'inspect',
      '-f',
      '{{.NetworkSettings.Networks.bridge.IPAddress}}',
      'ww',
    ]);
    const page = await daemon.mustDocker([
      'run',
      '--rm',
      'busybox',
      'wget',
      '-qO-',
      `http://${address}:8080/`,
    ]);
    assert.match(page, /hello/);
    await daemon.mustDocker(['run', '--rm', 'busybox', 'ping', '-c', '1', '-W', '5', '198.18.0.1']);
    assert.equal((await daemon.inNetwork(['busybox', 'ping', '-c', '1', '-W', '5', address])).exit, 0);
  },
);

e2e('images: load, import, list, tag, remove', { images: [] }, async (daemon) => {
  const loaded = await daemon.mustDocker(['load', '-i', await imageArchive('busybox')]);
  assert.equal(loaded, 'Loaded image: busybox:latest');
  const imported = await daemon.mustDocker([
    'import',
    '-c',
    'CMD ["echo","imported"]',
    await imageArchive('rootfs'),
    'flat:1',
  ]);
  assert.match(imported, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await daemon.mustDocker(['run', '--rm', 'flat:1']), 'imported');
  const listed = await daemon.mustDocker(['images', '--format', '{{.Repository}}:{{.Tag}}']);
  assert.deepEqual(listed.split('\n').toSorted(), ['busybox:latest', 'flat:1']);
  await daemon.mustDocker(['tag', 'busybox', 'other:2']);
  assert.equal(await daemon.mustDocker(['rmi', 'other:2']), 'Untagged: other:2');
  await daemon.mustDocker(['create', '--name', 'user', 'busybox', 'true']);
  const used = await daemon.docker(['rmi', 'busybox']);
  assert.equal(used.exit, 1);
  assert.match(
    used.stderr,
    /conflict: unable to remove repository reference "busybox" \(must force\) - container [0-9a-f]{12} is using/,
  );
  await daemon.mustDocker(['rm', 'user']);
  assert.match(await daemon.mustDocker(['rmi', 'busybox', 'flat:1']), /Deleted: sha256:/);
  assert.equal(await daemon.mustDocker(['images', '-q']), '');
});

e2e('events: what happened, filtered, until now', {}, async (daemon) => {
  const since = String(Math.floor(Date.now() / 1000) - 1);
  await daemon
    .mustDocker(['run', '--rm', '--name', 'ev', 'busybox', 'sh', '-c', 'exit 2'])
    .catch(() => undefined);
  const until = String(Math.floor(Date.now() / 1000) + 1);
  const format = ['--format', '{{.Action}}'];
  const events = await daemon.mustDocker([
    'events',
    '--since',
    since,
    '--until',
    until,
    '--filter',
    'container=ev',
    ...format,
  ]);
  assert.deepEqual(events.split('\n'), ['create', 'attach', 'start', 'die', 'destroy']);
});

e2e('the merged directory that inspect names is there while the container runs', {}, async (daemon) => {
  await daemon.mustDocker(['run', '-d', '--name', 'seen', '--tmpfs', '/mine', 'busybox', 'sleep', '1000']);
  await daemon.mustDocker(['exec', 'seen', 'sh', '-c', 'echo inside > /file; echo mount > /mine/file']);
  const shown = await daemon.mustDocker(['inspect', '-f', '{{.GraphDriver.Data.MergedDir}}', 'seen']);
  const merged = shown.trim();
  assert.match(merged, /\/overlay2\/[0-9a-f]{64}\/merged$/);
  assert.equal(await readFile(join(merged, 'file'), 'utf8'), 'inside\n');
  assert.equal(await readFile(join(merged, 'mine/file'), 'utf8'), 'mount\n');
  await writeFile(join(merged, 'file'), 'outside\n');
  assert.equal(await daemon.mustDocker(['exec', 'seen', 'cat', '/file']), 'outside');
  await daemon.restart();
  assert.equal(await readFile(join(merged, 'file'), 'utf8'), 'outside\n');
  await daemon.mustDocker(['kill', 'seen']);
  await daemon.mustDocker(['wait', 'seen']);
  await assert.rejects(readdir(merged), /ENOENT/);
  await daemon.mustDocker(['start', 'seen']);
  assert.equal(await readFile(join(merged, 'file'), 'utf8'), 'outside\n');
  await daemon.mustDocker(['rm', '-f', 'seen']);
  await assert.rejects(lstat(merged), /ENOENT/);
});

e2e('start: what changed since create counts', {}, async (daemon) => {
  // The image is known from here on, and starts are prepared in create.
  await daemon.mustDocker(['run', '--rm', 'busybox', 'true']);
  const limit = async (name: string): Promise<string> => {
    await daemon.mustDocker(['start', name]);
    const inside = 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null';
    return await daemon.mustDocker(['exec', name, 'sh', '-c', `${inside} || true`]);
  };
  for (const name of ['changed', 'plain'])
    await daemon.mustDocker(['create', '--name', name, '-m', '64m', 'busybox', 'sleep', '60']);
  await daemon.mustDocker(['update', '-m', '32m', '--memory-swap', '32m', 'changed']);
  assert.equal(await limit('changed'), String(32 << 20));
  assert.equal(await limit('plain'), String(64 << 20));
  await daemon.mustDocker(['rm', '-f', 'changed', 'plain']);
});
