import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../support/command.ts';
import { cannotRun, type World, worldFor } from './world.ts';

const skip = cannotRun();

async function sleeping(world: World): Promise<string> {
  const bundle = world.bundle(['sleep', '1000']);
  await world.must(['run', '-d', '-b', bundle, 'one']);
  return bundle;
}

test('exec by flags: the command, its user, groups, environment, directory, privileges and exit code', {
  skip,
}, async (t) => {
  const world = worldFor(t);
  await sleeping(world);
  const exec = (flags: string[], ...command: string[]) => world.oci(['exec', ...flags, 'one', ...command]);
  assert.deepEqual(await exec([], 'sh', '-c', 'hostname; echo err >&2; exit 3'), {
    exit: 3,
    stdout: 'inside\n',
    stderr: 'err\n',
  });
  const who = await exec(['--user', '1000:1001', '-g', '5', '-g', '6'], 'sh', '-c', 'id -u; id -g; id -G');
  assert.equal(who.stdout, '1000\n1001\n1001 5 6\n', who.stderr);
  const env = await exec(['-e', 'A=1', '--env', 'B=x=y', '--cwd', '/tmp'], 'sh', '-c', 'echo $A $B; pwd');
  assert.equal(env.stdout, '1 x=y\n/tmp\n', env.stderr);
  const status = await exec(
    ['--cap', 'CAP_SYS_NICE', '--no-new-privs'],
    'grep',
    '-E',
    'CapBnd|NoNewPrivs',
    '/proc/self/status',
  );
  assert.equal(status.stdout, 'CapBnd:\t00000000008000e1\nNoNewPrivs:\t1\n', status.stderr);
  const input = world.file('input', 'to the exec');
  assert.equal((await world.oci(['exec', 'one', 'cat'], { input })).stdout, 'to the exec');
  assert.equal((await exec([], 'sh', '-c', 'kill -9 $$')).exit, 137);
  await world.must(['delete', '-f', 'one']);
});

test('exec by a process file, detached, with a pid file', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = await sleeping(world);
  const script = 'echo $FROM $PWD $(id -u) > /tmp/said; sleep 1000';
  const process_ = world.process(['sh', '-c', script], { env: ['PATH=/bin', 'FROM=file'], cwd: '/tmp' });
  const file = world.file('process.json', JSON.stringify(process_));
  const pidFile = join(world.directory, 'exec.pid');
  await world.must(['exec', '--process', file, '--detach', '--pid-file', pidFile, 'one']);
  const said = join(bundle, 'rootfs/tmp/said');
  await until(() => (existsSync(said) && readFileSync(said, 'utf8') !== '' ? true : undefined), {
    what: 'its file',
  });
  assert.equal(readFileSync(said, 'utf8'), 'file /tmp 0\n');
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const pids = JSON.parse(await world.must(['ps', '--format', 'json', 'one'])) as number[];
  assert.ok(pids.includes(pid) && pids.length >= 2, `${pid} in ${pids.join(' ')}`);
  const table = await world.must(['ps', 'one', '-o', 'pid,comm']);
  assert.match(table, new RegExp(`PID COMMAND[\\s\\S]*\\b${pid} `));
  await world.must(['delete', '-f', 'one']);
});

test('an exec that cannot be is refused, with 255', { skip }, async (t) => {
  const world = worldFor(t);
  await sleeping(world);
  const refused = (args: string[]): Promise<string> => world.refused(['exec', ...args], { exit: 255 });
  assert.equal(await refused(['none', 'true']), 'exec failed: container does not exist');
  assert.equal(await refused(['one']), 'exec failed: process args cannot be empty');
  assert.match(
    await refused(['one', 'nope']),
    /^exec failed: unable to start container process: exec: "nope": executable file not found in \$PATH$/,
  );
  assert.match(
    await refused(['one', '/etc/passwd']),
    /^exec failed: unable to start container process: exec: "\/etc\/passwd": permission denied$/,
  );
  assert.match(
    await refused(['--cwd', '/none', 'one', 'true']),
    /chdir to cwd \("\/none"\).*no such file or directory/,
  );
  assert.match(await refused(['--user', 'x', 'one', 'true']), /parsing x as int for uid failed/);
  assert.match(await refused(['--cap', 'CAP_NOPE', 'one', 'true']), /CAP_NOPE/);
  assert.match(
    await refused(['-t', '-d', 'one', 'true']),
    /cannot allocate tty if runc will detach without setting console socket/,
  );
  assert.match(await refused(['--process', world.file('p.json', '{"args":5}'), 'one']), /args/);
  assert.match(await refused(['--process', '/none', 'one']), /no such file/);
  assert.match(await refused(['--cgroup', '/x', 'one', 'true']), /--cgroup is not supported/);
  await world.must(['delete', '-f', 'one']);
});

test('an exec joins the namespaces and cgroups of its container', { skip }, async (t) => {
  const world = worldFor(t);
  await sleeping(world);
  const { pid } = await world.state('one');
  for (const name of ['pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup']) {
    const inside = await world.must(['exec', 'one', 'readlink', `/proc/self/ns/${name}`]);
    assert.equal(
      inside.trim(),
      await world.must(['exec', 'one', 'readlink', `/proc/1/ns/${name}`]).then((text) => text.trim()),
      name,
    );
  }
  const own = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  assert.ok(own.includes(world.cgroup), own);
  const group = await world.must(['exec', 'one', 'cat', '/proc/self/cgroup']);
  assert.ok(
    group
      .trim()
      .split('\n')
      .every((line) => line.endsWith(':/')),
    group,
  );
  await world.must(['delete', '-f', 'one']);
});
