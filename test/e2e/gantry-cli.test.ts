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
