import assert from 'node:assert/strict';
import { link, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { e2e } from '../support/e2e.ts';

const GANTRY = join(import.meta.dirname, '../../bin/gantry');
const NONE = ['--network', 'none'];

async function gantry(daemon: TestDaemon, ...args: string[]): Promise<string> {
  const env = { ...daemon.clientEnv(), GANTRY_HOST: daemon.host };
  const result = await run(GANTRY, args, { env });
  assert.equal(result.exit, 0, `gantry ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trimEnd();
}

/** Names in the archive of a layer or a tree. */
async function names(archive: string): Promise<string[]> {
  const { stdout } = await run('tar', ['-tf', archive]);
  return stdout.trimEnd().split('\n').sort();
}

async function topLayer(daemon: TestDaemon, image: string): Promise<string[]> {
  const { body } = await daemon.api(`/images/${image}/json`);
  const { RootFS } = JSON.parse(body.toString()) as { RootFS: { Layers: string[] } };
  const hex = RootFS.Layers.at(-1)?.replace('sha256:', '') ?? '';
  return names(`${daemon.dataRoot}/content/blobs/sha256/${hex}`);
}

e2e(
  'a commit has what the container changed, and nothing that only a mount or the engine made',
  {},
  async (daemon) => {
    await writeFile(`${daemon.root}/bound`, 'of the host');
    const script =
      'echo x >/own; echo y >>/etc/hosts; echo z >>/etc/resolv.conf; echo t >/scratch/t; echo v >/vol/v; ' +
      'echo w >/deep/er/way/w; rm /etc/group; mkdir /mine; exec sleep 600';
    const mounts = [
      ...['-v', `${daemon.root}/bound:/mnt/point/file`, '-v', 'data:/vol', '-v', '/anonymous'],
      ...['--tmpfs', '/scratch', '--tmpfs', '/deep/er/way', '--init'],
    ];
    await daemon.mustDocker(['run', '-d', '--name', 'c1', ...NONE, ...mounts, 'busybox', 'sh', '-c', script]);
    await daemon.mustDocker(['exec', 'c1', 'sh', '-c', 'until test -d /mine; do sleep 0.05; done']);
    const changes = (await daemon.mustDocker(['diff', 'c1'])).split('\n').sort();
    for (const line of ['A /own', 'A /mine', 'C /etc', 'D /etc/group', 'A /mnt/point/file', 'A /vol'])
      assert.ok(changes.includes(line), `${line} in ${changes.join()}`);
    assert.ok(!changes.some((line) => /hosts|resolv|hostname|dockerenv/.test(line)), changes.join());

    await daemon.mustDocker([
      'commit',
      '-a',
      'me',
      '-m',
      'why',
      '-c',
      'ENV A=1 B="2 3"',
      '-c',
      'LABEL l=v',
      'c1',
      'one:1',
    ]);
    assert.deepEqual(await topLayer(daemon, 'one:1'), ['etc/', 'etc/.wh.group', 'mine/', 'own']);
    assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.State.Status}}', 'c1']), 'running');
    const shown =
      '{{.Author}}|{{.Comment}}|{{json .Config.Env}}|{{index .Config.Labels "l"}}|{{len .RootFS.Layers}}';
    const config = await daemon.mustDocker(['image', 'inspect', '-f', shown, 'one:1']);
    assert.match(config, /^me\|why\|\["PATH=[^"]*","A=1","B=2 3"\]\|v\|2$/);
    assert.equal(await daemon.mustDocker(['run', '--rm', ...NONE, 'one:1', 'cat', '/own']), 'x');

    // Nothing but mounts: no layer, as with the reference.
    await daemon.mustDocker(['create', '--name', 'idle', ...NONE, 'busybox']);
    await daemon.mustDocker(['commit', 'idle', 'idle:1']);
    const layers = await daemon.mustDocker(['image', 'inspect', '-f', '{{len .RootFS.Layers}}', 'idle:1']);
    assert.equal(layers, '1');
  },
);

e2e(
  'a container stands still while it is committed, unless that is not wanted, and goes on',
  {},
  async (daemon) => {
    await daemon.mustDocker(['run', '-d', '--name', 'c1', ...NONE, 'busybox', 'sleep', '600']);
    const since = Math.floor(Date.now() / 1000) - 5;
    await daemon.mustDocker(['commit', '--pause=false', 'c1', 'moving:1']);
    await daemon.mustDocker(['commit', 'c1', 'still:1']);
    await daemon.mustDocker(['pause', 'c1']);
    await daemon.mustDocker(['commit', 'c1', 'paused:1']);
    assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.State.Status}}', 'c1']), 'paused');
    await daemon.mustDocker(['unpause', 'c1']);
    const until = String(Math.ceil(Date.now() / 1000) + 1);
    const events = await daemon.mustDocker([
      ...['events', '--since', String(since), '--until', until, '--filter', 'type=container'],
      ...['--format', '{{.Action}} {{.Actor.Attributes.imageRef}}'],
    ]);
    assert.deepEqual(
      events
        .replaceAll('<no value>', '')
        .split('\n')
        .map((line) => line.trim()),
      [
        'create',
        'start',
        'commit moving:1',
        'pause',
        'unpause',
        'commit still:1',
        'pause',
        'commit paused:1',
        'unpause',
      ],
    );
    const missing = await daemon.docker(['commit', 'nope']);
    assert.deepEqual(
      [missing.exit, missing.stderr],
      [1, 'Error response from daemon: No such container: nope\n'],
    );
  },
);

e2e('an export is the whole tree, of a running container too, and can be imported', {}, async (daemon) => {
  await writeFile(`${daemon.root}/secret`, 'SECRET-OF-THE-HOST');
  const swap =
    'ln -s /proc/1/root /l; mkdir -p /d/e; while :; do mv /d /s; mv /l /d; mv /d /l; mv /s /d; done';
  await daemon.mustDocker([
    ...['run', '-d', '--name', 'c1', ...NONE, '-v', `${daemon.root}/secret:/mnt/secret`, '-v', 'data:/vol'],
    ...['busybox', 'sh', '-c', `echo in >/vol/in; echo own >/own; ${swap}`],
  ]);
  await daemon.mustDocker(['exec', 'c1', 'sh', '-c', 'until test -e /own; do sleep 0.05; done']);
  const file = `${daemon.root}/c.tar`;
  for (let round = 0; round < 5; round++) {
    await daemon.mustDocker(['export', '-o', file, 'c1']);
    assert.ok(!(await readFile(file)).includes('SECRET-OF'));
  }
  const members = await names(file);
  for (const name of ['.dockerenv', 'own', 'etc/hosts', 'bin/busybox', 'mnt/secret', 'vol/'])
    assert.ok(members.includes(name), `${name} in ${members.join()}`);
  assert.ok(!members.includes('vol/in'));
  await daemon.mustDocker(['kill', 'c1']);
  await daemon.mustDocker(['export', '-o', file, 'c1']);
  await daemon.mustDocker(['import', '-c', 'CMD ["cat","/own"]', file, 'flat:1']);
  assert.equal(await daemon.mustDocker(['run', '--rm', ...NONE, 'flat:1']), 'own');
});

e2e('a client that leaves in the middle of an export leaves nothing', {}, async (daemon) => {
  const fill = 'for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/f$i bs=1M count=8 2>/dev/null; done';
  await daemon.mustDocker(['run', '--name', 'c1', ...NONE, 'busybox', 'sh', '-c', fill]);
  for (let round = 0; round < 3; round++) {
    const left = await run('sh', ['-c', 'docker export c1 | head -c 1000000 | wc -c'], {
      env: daemon.clientEnv(),
    });
    assert.equal(left.stdout.trim(), '1000000');
  }
  assert.equal((await daemon.docker(['rm', 'c1'])).exit, 0);
});

e2e('images are explained, compared, and a prune is shown before it is done', {}, async (daemon) => {
  const big = 'dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null';
  await daemon.mustDocker(['run', '--name', 'c1', ...NONE, 'busybox', 'sh', '-c', big]);
  await daemon.mustDocker(['commit', 'c1', 'first:1']);
  await daemon.mustDocker(['run', '--name', 'c2', ...NONE, 'first:1', 'sh', '-c', 'rm /big; echo s >/small']);
  await daemon.mustDocker(['commit', '-c', 'ENV NEW=1', 'c2', 'second:1']);
  const explained = JSON.parse(await gantry(daemon, 'image', 'explain', '--format', 'json', 'second:1')) as {
    Layers: { WastedBytes: number; SharedWith: string[]; CreatedBy: string }[];
    WastedBytes: number;
  };
  assert.equal(explained.WastedBytes, 3 * 2 ** 20);
  assert.deepEqual(
    explained.Layers.map((layer) => layer.WastedBytes),
    [0, 3 * 2 ** 20, 0],
  );
  assert.deepEqual(explained.Layers[1]?.SharedWith, ['first:1']);
  assert.equal(explained.Layers[1]?.CreatedBy, `sh -c ${big}`);
  const text = await gantry(daemon, 'image', 'explain', 'first:1');
  assert.match(text, /^Image: +[0-9a-f]{12} first:1\n/);
  assert.match(text, /Children: +second:1\n/);
  assert.match(text, /Containers: +[0-9a-f]{12}\n/);
  const difference = await gantry(daemon, 'image', 'diff', 'first:1', 'second:1');
  assert.match(difference, /, 2 layers shared\nConfig:\n(.*\n)*D \/big \(3\.15MB\)\nA \/small \(2B\)$/);
  assert.match(difference, / {2}Env: \["PATH=[^\]]*\] -> \["PATH=[^\]]*,"NEW=1"\]\n/);

  await daemon.mustDocker(['rm', 'c1', 'c2']);
  const before = await daemon.mustDocker(['images', '-q']);
  const plan = await gantry(daemon, 'image', 'prune', '--all', '--dry-run');
  assert.match(plan, /^WOULD REMOVE +IMAGE ID +SIZE\n/);
  assert.equal(await daemon.mustDocker(['images', '-q']), before);
  const done = await gantry(daemon, 'image', 'prune', '--all', '--force');
  const reclaimed = (of: string): string | undefined => /(?:reclaim|space): (\S+)$/.exec(of)?.[1];
  assert.equal(reclaimed(done), reclaimed(plan));
  assert.equal(await daemon.mustDocker(['images', '-q']), '');
});

e2e('with whole trees instead of layers the same', { args: ['--storage-driver', 'vfs'] }, async (daemon) => {
  const script = 'echo x >/own; rm /etc/group; mkdir -p /mine/dir; touch /mine/dir/f';
  await daemon.mustDocker(['run', '--name', 'c1', ...NONE, '-v', 'data:/vol', 'busybox', 'sh', '-c', script]);
  const changes = (await daemon.mustDocker(['diff', 'c1'])).split('\n').sort();
  assert.deepEqual(changes, [
    ...['A /mine', 'A /mine/dir', 'A /mine/dir/f', 'A /own', 'A /vol', 'C /etc', 'D /etc/group'],
  ]);
  await daemon.mustDocker(['commit', 'c1', 'one:1']);
  assert.deepEqual(await topLayer(daemon, 'one:1'), [
    ...['etc/', 'etc/.wh.group', 'mine/', 'mine/dir/', 'mine/dir/f', 'own'],
  ]);
  assert.equal(await daemon.mustDocker(['run', '--rm', ...NONE, 'one:1', 'ls', '/mine/dir']), 'f');
  assert.match(await gantry(daemon, 'image', 'diff', 'busybox', 'one:1'), /\nD \/etc\/group/);
  assert.match(await gantry(daemon, 'image', 'explain', 'one:1'), /\nWasted: +\? in files/);
});

e2e(
  'an import says what it is for, how big it is, and takes changes over several lines',
  {},
  async (daemon) => {
    const tree = `${daemon.root}/tree`;
    await mkdir(`${tree}/d`, { recursive: true });
    await writeFile(`${tree}/f`, '12345');
    await symlink('abcdefghijkl', `${tree}/symbolic`);
    await symlink('xyz', `${tree}/d/symbolic`);
    await link(`${tree}/f`, `${tree}/hard`);
    const file = `${daemon.root}/tree.tar`;
    assert.equal((await run('tar', ['-C', tree, '-cf', file, 'f', 'symbolic', 'hard', 'd'])).exit, 0);
    const lines = 'LABEL a=1 \\\n# why\n b="2 3"';
    await daemon.mustDocker(['import', '-c', lines, '-c', 'CMD ["/f"]', file, 'small:1']);
    const shown = '{{.Size}} {{json .Config.Labels}} {{json .Config.Env}}';
    const of = async (image: string): Promise<string> =>
      daemon.mustDocker(['image', 'inspect', '-f', shown, image]);
    assert.equal(await of('small:1'), '20 {"a":"1","b":"2 3"} null');
    await daemon.mustDocker(['create', '--name', 'c1', ...NONE, 'small:1']);
    await daemon.mustDocker(['commit', 'c1', 'same:1']);
    assert.equal(await of('same:1'), '20 {"a":"1","b":"2 3"} null');
    for (const [args, message] of [
      [['import', '--platform', 'windows/amd64', file], 'operating system is not supported'],
      [['import', '-c', '', file], 'file with no instructions'],
      [['commit', '-c', '# nothing', 'c1'], 'file with no instructions'],
      [['commit', '-c', 'WORKDIR ""', 'c1'], 'cannot normalize nothing'],
    ] as const) {
      const refused = await daemon.docker([...args]);
      assert.equal(refused.exit, 1);
      assert.equal(refused.stderr.split('\n')[0], `Error response from daemon: ${message}`);
    }
  },
);
