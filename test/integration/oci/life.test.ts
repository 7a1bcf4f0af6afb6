import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { must, until } from '../../support/command.ts';
import { cannotRun, GANTRY_OCI, worldFor } from './world.ts';

const skip = cannotRun();

test('create, start, kill, delete, with the state in between', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.annotations = { 'org.example.key': 'value' };
  });
  await world.must(['create', '--bundle', bundle, '--pid-file', join(world.directory, 'pid'), 'one']);
  const created = await world.state('one');
  assert.equal(created.status, 'created');
  assert.equal(readFileSync(join(world.directory, 'pid'), 'utf8'), String(created.pid));
  assert.deepEqual(
    { ...created, created: '' },
    {
      ociVersion: '1.2.1',
      id: 'one',
      pid: created.pid,
      status: 'created',
      bundle,
      rootfs: join(bundle, 'rootfs'),
      created: '',
      annotations: { 'org.example.key': 'value' },
      owner: '',
    },
  );
  assert.notEqual(readFileSync(`/proc/${created.pid}/cmdline`, 'latin1'), 'sleep\x001000\x00');
  await world.must(['start', 'one']);
  assert.equal(await world.status('one'), 'running');
  const command = async (): Promise<true | undefined> =>
    readFileSync(`/proc/${created.pid}/cmdline`, 'latin1') === 'sleep\x001000\x00' ? true : undefined;
  await until(command, { what: 'the program runs' });
  assert.equal(await world.refused(['start', 'one']), 'cannot start an already running container');
  assert.equal(
    await world.refused(['delete', 'one']),
    'cannot delete container one that is not stopped: running',
  );
  await world.must(['kill', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  assert.equal((await world.state('one')).pid, 0);
  assert.equal(await world.refused(['kill', 'one', 'KILL']), 'container not running');
  assert.equal(await world.refused(['start', 'one']), 'cannot start a container that has stopped');
  await world.must(['delete', 'one']);
  assert.equal(await world.refused(['state', 'one']), 'container does not exist');
  assert.equal(await world.refused(['delete', 'one']), 'container does not exist');
  await world.must(['delete', '--force', 'one']);
});

test('run in the foreground gives output, exit code and leaves nothing', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sh', '-c', 'cat; hostname; echo to-stderr >&2; exit 7']);
  const result = await world.oci(['run', '-b', bundle, 'one'], {
    input: world.file('input', 'from-stdin\n'),
  });
  assert.deepEqual(result, { exit: 7, stdout: 'from-stdin\ninside\n', stderr: 'to-stderr\n' });
  const killed = world.bundle(['sh', '-c', 'sleep 1000 & kill -9 $!; wait $!; exit $?']);
  assert.equal((await world.oci(['run', '-b', killed, 'two'])).exit, 137);
  assert.equal(await world.must(['list', '-q']), '');
});

test('a container runs without its creator; list shows it', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000']);
  await world.must(['run', '-d', '-b', bundle, 'b-two']);
  const other = world.bundle(['sleep', '1000']);
  await world.must(['create', '-b', other, 'a-one']);
  assert.equal(await world.must(['list', '--quiet']), 'a-one\nb-two\n');
  const shown = JSON.parse(await world.must(['list', '--format', 'json'])) as Record<string, unknown>[];
  assert.deepEqual(
    shown.map(({ id, status, owner }) => [id, status, owner]),
    [
      ['a-one', 'created', 'root'],
      ['b-two', 'running', 'root'],
    ],
  );
  const [head = '', ...rows] = (await world.must(['list'])).trimEnd().split('\n');
  assert.match(head, /^ID +PID +STATUS +BUNDLE +CREATED +OWNER$/);
  assert.match(rows[1] ?? '', new RegExp(`^b-two +\\d+ +running +${bundle} +\\S+Z +root$`));
  assert.match(
    await world.must(['list'], { root: join(world.directory, 'elsewhere') }),
    /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\n$/,
  );
  assert.equal(await world.refused(['list', '-f', 'x']), 'invalid format option');
  for (const id of ['a-one', 'b-two']) await world.must(['delete', '-f', id]);
});

test('a program that ends by itself is seen as stopped, its pid is nobody’s', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['true']), 'one']);
  await world.reaches('one', 'stopped');
  const list = JSON.parse(await world.must(['list', '-f', 'json'])) as Record<string, unknown>[];
  assert.deepEqual([list[0]?.['status'], list[0]?.['pid']], ['stopped', 0]);
  assert.equal(
    await world.refused(['exec', 'one', 'true'], { exit: 255 }),
    'exec failed: cannot exec in a stopped container',
  );
  assert.equal(await world.refused(['pause', 'one']), 'container not running or created: stopped');
  assert.equal(await world.refused(['events', '--stats', 'one']), 'container with id one is not running');
  await world.must(['delete', 'one']);
});

test('kill --all reaches every process, kill only the first one', { skip }, async (t) => {
  const world = worldFor(t);
  const script =
    'trap "echo first >> /log" USR1; (trap "echo second >> /log" USR1; echo >> /ready; while :; do sleep 0.05; done) & echo >> /ready; while :; do sleep 0.05; done';
  const bundle = world.bundle(['sh', '-c', script]);
  const log = join(bundle, 'rootfs/log');
  const said = (text: string): Promise<true> =>
    until(() => (existsSync(log) && readFileSync(log, 'utf8') === text ? true : undefined), { what: text });
  await world.must(['run', '-d', '-b', bundle, 'one']);
  const ready = join(bundle, 'rootfs/ready');
  await until(() => (existsSync(ready) && readFileSync(ready, 'utf8').length === 2 ? true : undefined), {
    what: 'traps',
  });
  await world.must(['kill', 'one', 'SIGUSR1']);
  await said('first\n');
  await world.must(['kill', '--all', 'one', '10']);
  await until(
    () =>
      readFileSync(log, 'utf8').split('\n').sort().join(' ').trim() === 'first first second'
        ? true
        : undefined,
    {
      what: 'both',
    },
  );
  assert.equal(await world.refused(['kill', 'one', 'FOO']), 'unknown signal "FOO"');
  await world.must(['kill', '-a', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
});

test('descriptors are kept when they are counted, and only then', { skip }, async (t) => {
  const world = worldFor(t);
  const kept = openSync(world.file('kept', 'kept content'), 'r');
  const other = openSync(world.file('other', 'other content'), 'r');
  try {
    const bundle = world.bundle([
      'sh',
      '-c',
      'cat <&3; ls /proc/self/fd; test -e /proc/self/fd/4 && echo leaked',
    ]);
    const result = await world.oci(['run', '--preserve-fds', '1', '-b', bundle, 'one'], {
      more: [kept, other],
    });
    // The last one is the directory that ls reads.
    assert.equal(result.stdout, 'kept content0\n1\n2\n3\n4\n', result.stderr);
    const none = world.bundle(['ls', '/proc/self/fd']);
    assert.equal(await world.must(['run', '-b', none, 'two'], { more: [kept, other] }), '0\n1\n2\n3\n');
  } finally {
    closeSync(kept);
    closeSync(other);
  }
});

test('the init of a detached container is handed to the subreaper above the caller', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000']);
  const source = new URL('subreaper.c', import.meta.url).pathname;
  const program = join(world.directory, 'subreaper');
  await must('cc', ['-o', program, source]);
  // Prints the parent of init as its own pid, kills it, reaps it, and prints how it ended.
  const said = await must(program, [
    GANTRY_OCI,
    '--root',
    world.root,
    'run',
    '-d',
    '-b',
    bundle,
    '--pid-file',
    join(world.directory, 'pid'),
    'one',
  ]);
  assert.equal(said, 'child reaped: signal 9\n');
  await world.must(['delete', 'one']);
});

test('a foreground run hands signals on, and --keep keeps the stopped container', { skip }, async (t) => {
  const world = worldFor(t);
  mkdirSync(join(world.directory, 'x'));
  const bundle = world.bundle([
    'sh',
    '-c',
    'trap "exit 42" TERM; echo > /ready; while :; do sleep 0.05; done',
  ]);
  const running = world.oci([
    'run',
    '--keep',
    '--pid-file',
    join(world.directory, 'pid'),
    '-b',
    bundle,
    'one',
  ]);
  await until(() => (existsSync(join(bundle, 'rootfs/ready')) ? true : undefined), { what: 'trap' });
  const found = await must('pgrep', ['-f', `gantry-oci.cjs --root ${world.root} run --keep`]);
  process.kill(Number(found.trim()), 'SIGTERM');
  assert.equal((await running).exit, 42);
  assert.equal(await world.status('one'), 'stopped');
  await world.must(['delete', 'one']);
});

test('without pivot_root, and with the caller’s keyring', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sh', '-c', 'pwd; ls /; test -e /proc/1/root/etc/passwd && echo inside']);
  const output = await world.must(['run', '--no-pivot', '--no-new-keyring', '-b', bundle, 'one']);
  assert.equal(output, '/\nbin\ndev\netc\nmnt\nproc\nsbin\nsys\ntmp\ninside\n');
});

test('sockets of whoever activates come with their variables', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sh', '-c', 'echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4']);
  const [first, second] = [world.file('first', 'first '), world.file('second', 'second')];
  const call = `${GANTRY_OCI} --root ${world.root} run --preserve-fds 1 -b ${bundle} one`;
  const script = `exec 3< ${first} 4< ${second}; LISTEN_FDS=1 LISTEN_PID=$$ exec ${call}`;
  assert.equal(await must('sh', ['-c', script]), '1 1\nfirst second');
});
