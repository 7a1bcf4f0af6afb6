import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, until, type CommandOptions, type CommandResult } from '../support/command.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { imageArchive } from '../support/images.ts';

const GANTRY = join(import.meta.dirname, '../../bin/gantry');

/** The gantry command line against a daemon of the test's own. */
function gantryFor(daemon: TestDaemon) {
  const env = { ...daemon.clientEnv(), GANTRY_HOST: daemon.host };
  const call = (args: string[], options: CommandOptions = {}): Promise<CommandResult> =>
    run(GANTRY, args, { ...options, env });
  const must = async (...args: string[]): Promise<string> => {
    const result = await call(args);
    assert.equal(result.exit, 0, `gantry ${args.join(' ')}: ${result.stderr}`);
    return result.stdout.trimEnd();
  };
  return { call, must };
}

test('images: load, import, images, inspect, tag, rmi', { timeout: 90_000 }, async () => {
  await using daemon = await startDaemon();
  const { call, must } = gantryFor(daemon);
  assert.equal(await must('load', '-i', await imageArchive('busybox')), 'Loaded image: busybox:latest');
  assert.match(
    await must('import', '-c', 'CMD ["true"]', await imageArchive('rootfs'), 'flat:1'),
    /^sha256:[0-9a-f]{64}$/,
  );
  assert.match(
    await must('images'),
    /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\n(.*\n)*busybox +latest +[0-9a-f]{12} /,
  );
  await must('tag', 'flat:1', 'other:2');
  assert.match(await must('inspect', '-f', '{{json .RepoTags}}', 'other:2'), /"other:2"/);
  assert.equal(await must('rmi', 'other:2'), 'Untagged: other:2');
  const missing = await call(['rmi', 'nosuch']);
  assert.deepEqual(
    [missing.exit, missing.stderr],
    [1, 'Error response from daemon: No such image: nosuch:latest\n'],
  );
});

test('containers: run, ps, logs, exec, attach, stop, kill, wait, rename, rm', {
  timeout: 120_000,
}, async () => {
  await using daemon = await startDaemon();
  await daemon.loadImage(await imageArchive('busybox'));
  const { call, must } = gantryFor(daemon);
  const both = await call([
    'run',
    '--rm',
    '-e',
    'A=b',
    'busybox',
    'sh',
    '-c',
    'echo $A; echo err >&2; exit 7',
  ]);
  assert.deepEqual([both.exit, both.stdout, both.stderr], [7, 'b\n', 'err\n']);
  const input = await call(['run', '--rm', '-i', 'busybox', 'wc', '-c'], {
    input: Buffer.alloc(3_000_000, 'x'),
  });
  assert.equal(input.stdout.trim(), '3000000');
  assert.equal((await call(['run', '--rm', 'busybox', 'nosuchcmd'])).exit, 127);
  assert.equal((await call(['run', '--rm', 'busybox', '/etc/passwd'])).exit, 126);
  assert.equal((await call(['run', '--name', 'a b', 'busybox'])).exit, 125);

  const id = await must(
    'run',
    '-d',
    '--name',
    'cc',
    'busybox',
    'sh',
    '-c',
    'echo one; trap "exit 9" TERM; while :; do sleep 0.1; done',
  );
  assert.equal(await must('ps', '-q', '--no-trunc'), id);
  assert.match(
    await must('ps'),
    /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n[0-9a-f]{12} +busybox +"sh -c/,
  );
  await until(async () => ((await must('logs', 'cc')) === 'one' ? true : undefined), {
    what: 'the first line of the log',
  });
  assert.equal(await must('exec', '-w', '/tmp', 'cc', 'pwd'), '/tmp');
  assert.equal((await call(['exec', 'cc', 'sh', '-c', 'exit 3'])).exit, 3);
  const attached = call(['attach', '--no-stdin', 'cc']);
  assert.equal(await must('inspect', '-f', '{{.State.Running}}', 'cc'), 'true');
  await must('pause', 'cc');
  await must('unpause', 'cc');
  await must('stop', 'cc');
  assert.equal((await attached).exit, 9);
  assert.equal(await must('wait', 'cc'), '9');
  await must('rename', 'cc', 'dd');
  await must('start', 'dd');
  await must('restart', '-t', '0', 'dd');
  await must('kill', 'dd');
  assert.equal(await must('wait', 'dd'), '137');
  assert.equal(await must('rm', 'dd'), 'dd');
});

test('containers: create, start -a, rm, events', { timeout: 60_000 }, async () => {
  await using daemon = await startDaemon();
  await daemon.loadImage(await imageArchive('busybox'));
  const { call, must } = gantryFor(daemon);
  const started = await call(['create', '--name', 'ee', 'busybox', 'echo', 'created']);
  assert.equal(started.exit, 0);
  assert.equal((await call(['start', '-a', 'ee'])).stdout, 'created\n');
  assert.equal(await must('rm', 'ee'), 'ee');
  const since = String(Math.floor(Date.now() / 1000) - 60);
  const events = await must(
    'events',
    '--since',
    since,
    '--until',
    String(Math.floor(Date.now() / 1000) + 1),
    '--filter',
    'container=ee',
  );
  assert.match(events, / container create [0-9a-f]{64} \(image=busybox, name=ee\)/);
});

test('version, info, help, and no daemon', { timeout: 60_000 }, async () => {
  await using daemon = await startDaemon();
  const { must } = gantryFor(daemon);
  assert.equal(await must('version', '--format', '{{.Server.ApiVersion}}'), '1.51');
  assert.match(await must('info'), /^Containers: 0$/m);
  assert.match(await must('run', '--help'), /^Usage: {2}gantry run \[OPTIONS\] IMAGE/);
  const nobody = await run(GANTRY, ['-H', 'unix:///nonexistent.sock', 'ps']);
  assert.deepEqual(
    [nobody.exit, nobody.stderr],
    [1, 'Cannot connect to the Docker daemon at unix:///nonexistent.sock. Is the docker daemon running?\n'],
  );
});

test('words that stand before other commands show these, and every command its flags', async () => {
  const call = (...args: string[]): Promise<CommandResult> => run(GANTRY, args);
  for (const group of ['image', 'container', 'registry', 'system']) {
    const alone = await call(group);
    assert.deepEqual([alone.exit, alone.stderr], [0, ''], group);
    assert.match(alone.stdout, new RegExp(`^Usage:  gantry ${group} COMMAND\n\n.+\n\nCommands:\n  [a-z]+ `));
    for (const asked of [
      [group, '--help'],
      [group, '-h'],
      ['help', group],
    ])
      assert.deepEqual(await call(...asked), alone, asked.join(' '));
  }
  assert.match((await call('registry')).stdout, /\n {2}serve {3}Be a registry of images/);
  assert.match(
    (await call('image', '--help')).stdout,
    /\n {2}explain .+\n(?:.+\n)* {2}ls .+\n(?:.+\n)* {2}prune /,
  );
  for (const asked of ['--help', '-h']) {
    const { exit, stdout, stderr } = await call('registry', 'serve', asked);
    assert.deepEqual([exit, stderr], [0, '']);
    assert.match(stdout, /Usage: .*gantry registry serve \[OPTION/);
    assert.match(stdout, /--cache-size SIZE/);
  }
  const version = await call('registry', 'serve', '--version');
  assert.equal(version.exit, 0);
  assert.match(version.stdout, /^gantry-registry version \d+\.\d+\.\d+\n$/);
  assert.match((await call('attach', '--help')).stdout, /^Usage: {2}gantry attach /);
  assert.match((await call('images', '-h')).stdout, /^Usage: {2}gantry images /);
  assert.match((await call('help')).stdout, /^Usage: {2}gantry \[OPTIONS\] COMMAND\n/);
});

test('commands and forms that there are not are refused, on standard error', async () => {
  const refused = async (exit: number, text: RegExp, ...args: string[]): Promise<void> => {
    const result = await run(GANTRY, args);
    assert.deepEqual([result.exit, result.stdout], [exit, ''], args.join(' '));
    assert.match(result.stderr, text);
  };
  await refused(1, /^gantry: unknown command: gantry nosuch\n/, 'nosuch');
  await refused(1, /^gantry: unknown command: gantry registry nosuch\n/, 'registry', 'nosuch');
  await refused(125, /^unknown flag: --nosuch\n/, 'registry', '--nosuch');
  const forms: string[][] = [
    ['image', 'explain', 'x'],
    ['image', 'diff', 'x', 'y'],
  ];
  forms.push(['pull', '--plan', 'x'], ['image', 'prune', '--dry-run']);
  for (const words of forms) {
    for (const form of ['yaml', 'table {{.Id}}'])
      await refused(
        125,
        /^invalid argument ".+" for "--format" flag: must be json or /,
        ...words,
        '--format',
        form,
      );
    await refused(125, /^template parsing error: /, ...words, '--format', '{{.Id');
    assert.match(
      (await run(GANTRY, [...words, '--help'])).stdout,
      /--format json\|TEMPLATE {3}.*JSON, or what a/,
    );
  }
  await refused(125, /^--format goes with --plan\n/, 'pull', '--format', 'json', 'x');
  await refused(125, /^--format goes with --dry-run\n/, 'image', 'prune', '--format', 'json');
  await refused(1, /^tag can't be used with --all-tags\/-a\n/, 'pull', '-a', 'x:1');
});

test('image explain, diff and a planned prune in every form', { timeout: 90_000 }, async () => {
  await using daemon = await startDaemon();
  const { call, must } = gantryFor(daemon);
  await must('load', '-i', await imageArchive('busybox'));
  await must('import', '-c', 'CMD ["true"]', await imageArchive('rootfs'), 'flat:1');
  const id = await must('inspect', '-f', '{{.Id}}', 'busybox');
  assert.equal(await must('image', 'explain', '--format', '{{.Id}}', 'busybox'), id);
  const explained = await must('image', 'explain', '--format', 'json', 'busybox');
  assert.equal(await must('image', 'explain', '--format', '{{json .}}', 'busybox'), explained);
  assert.equal((JSON.parse(explained) as { Id: string }).Id, id);
  assert.equal(await must('image', 'diff', '--format', '{{.Before.Id}}', 'busybox', 'flat:1'), id);
  assert.match(
    await must('image', 'diff', 'busybox', 'busybox'),
    /\nNo difference in configuration or files\.$/,
  );
  const unknown = await call(['image', 'explain', '--format', '{{.Nope}}', 'busybox']);
  assert.deepEqual([unknown.exit, unknown.stdout], [125, '']);

  const names = [
    'busybox:latest',
    ...[1, 2, 3, 4, 5].map((n) => `registry.example/team/sub/app:version-${n}`),
  ];
  for (const name of names.slice(1)) await must('tag', 'busybox', name);
  const plan = await must('image', 'prune', '--dry-run', '-a');
  const lines = plan.split('\n');
  assert.ok(
    lines.every((line) => line.length <= 80),
    plan,
  );
  for (const name of [...names, 'flat:1'])
    assert.equal(lines.filter((line) => line.split(' ')[0] === name).length, 1, `${name} in\n${plan}`);
  assert.equal(plan.split(id.slice('sha256:'.length, 'sha256:'.length + 12)).length, 2, plan);
  const facts = JSON.parse(await must('image', 'prune', '--dry-run', '-a', '--format', 'json')) as {
    Images: { Id: string; Names: string[] }[];
    SpaceReclaimed: number;
  };
  assert.deepEqual(facts.Images.find((image) => image.Id === id)?.Names.toSorted(), names.toSorted());
  assert.equal(
    await must('image', 'prune', '--dry-run', '-a', '--format', '{{.SpaceReclaimed}}'),
    String(facts.SpaceReclaimed),
  );
  assert.equal(await must('image', 'prune', '--dry-run'), 'Would reclaim: 0B');
});
