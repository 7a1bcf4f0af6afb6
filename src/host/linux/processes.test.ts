import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKernel } from '../real.ts';
import { parseStat } from './processes.ts';
import { scratch } from './test-support.ts';

const { processes, cgroups, sockets } = createKernel();
const code = (name: string) => (error: unknown) => (error as { code?: string }).code === name;
const GROUP = `/gantry-test-${process.pid}`;
const shell = (script: string) => ({
  path: '/bin/sh',
  argv: ['sh', '-c', script],
  env: { PATH: '/usr/bin:/bin' },
});

test('a program gets its arguments, environment, directory and descriptors, and nothing else', async (t) => {
  const directory = scratch(t);
  const out = openSync(join(directory, 'out'), 'w');
  const leak = openSync('/dev/zero', 'r');
  const { pid, exited } = await processes.spawn({
    path: '/bin/sh',
    argv: [
      'sh',
      '-c',
      'pwd; echo $A; ls /proc/$$/fd; grep Sig /proc/self/status; cut -d" " -f5,6 /proc/$$/stat',
      'x',
      'y',
    ],
    env: { PATH: '/usr/bin:/bin', A: 'a b' },
    cwd: directory,
    fds: new Map([
      [1, out],
      [2, out],
      [7, out],
      [3, leak],
    ]),
  });
  assert.deepEqual(await exited, { exitCode: 0 });
  closeSync(out);
  closeSync(leak);
  const lines = readFileSync(join(directory, 'out'), 'utf8').split('\n');
  assert.equal(lines[0], directory);
  assert.deepEqual(lines.slice(1, 7), ['a b', '0', '1', '2', '3', '7']);
  const signals = Object.fromEntries(
    lines.filter((line) => line.startsWith('Sig')).map((line) => line.split(':\t')),
  );
  assert.equal(signals['SigIgn'], '0000000000000000');
  assert.equal(signals['SigBlk'], '0000000000000000');
  assert.equal(lines.at(-2), `${pid} ${pid}`, 'leads a session and group of its own');
});

test('descriptors may trade places', async (t) => {
  const directory = scratch(t);
  const files = ['a', 'b'].map((name) => openSync(join(directory, name), 'w'));
  const [a = -1, b = -1] = files;
  const { exited } = await processes.spawn({
    ...shell(`echo to-a >/proc/self/fd/${b}; echo to-b >/proc/self/fd/${a}`),
    fds: new Map([
      [a, b],
      [b, a],
    ]),
  });
  assert.deepEqual(await exited, { exitCode: 0 });
  files.forEach((fd) => closeSync(fd));
  assert.equal(readFileSync(join(directory, 'a'), 'utf8'), 'to-a\n');
  assert.equal(readFileSync(join(directory, 'b'), 'utf8'), 'to-b\n');
});

test('errors before the program runs are errors of the call', async () => {
  await assert.rejects(
    processes.spawn({ path: '/no/such', argv: ['x'], env: {} }),
    /ENOENT: no such file or directory, execve '\/no\/such'/,
  );
  await assert.rejects(processes.spawn({ ...shell(''), cwd: '/no/dir' }), /ENOENT.*chdir '\/no\/dir'/);
  await assert.rejects(processes.spawn({ ...shell(''), fds: new Map([[5, 9999]]) }), code('EBADF'));
  await assert.rejects(processes.spawn({ path: '/etc/passwd', argv: ['x'], env: {} }), code('EACCES'));
  await assert.rejects(processes.spawn({ ...shell(''), cgroup: '/gantry-never-made' }), code('ENOENT'));
});

test('identity, signals and the way processes end', async () => {
  const child = await processes.spawn(shell('exec sleep 60'));
  const identity = processes.identity(child.pid);
  assert.deepEqual(identity, { pid: child.pid, startTime: child.startTime });
  assert.ok(processes.alive(child));
  assert.equal(processes.facts(child.pid)?.parentPid, process.pid);
  assert.equal(processes.signal({ pid: child.pid, startTime: child.startTime + 1 }, 9), false);
  assert.equal(processes.signal(child, 15), true);
  assert.deepEqual(await child.exited, { signal: 15 });
  assert.equal(processes.alive(child), false);
  assert.equal(processes.identity(child.pid), null);
  assert.equal(processes.signal(child, 15), false);
  const many = await Promise.all(
    Array.from({ length: 20 }, (_unused, index) => processes.spawn(shell(`exit ${index}`))),
  );
  assert.deepEqual(
    await Promise.all(many.map(({ exited }) => exited)),
    many.map((_unused, index) => ({ exitCode: index })),
  );
  assert.equal(parseStat('7 (a) b (c) S 3 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 99 rest', 7)?.startTime, 99);
});

test('descriptors travel over a socket', async (t) => {
  const directory = scratch(t);
  writeFileSync(join(directory, 'f'), 'sent');
  const [ours, theirs] = sockets.pair();
  const fd = openSync(join(directory, 'f'), 'r');
  const receiving = sockets.receiveFds(theirs);
  sockets.sendFds(ours, [fd], Buffer.from('m'));
  closeSync(fd);
  const received = await receiving;
  assert.equal(received.message.toString(), 'm');
  assert.equal(readFileSync(received.fds[0] ?? -1, 'utf8'), 'sent');
  received.fds.forEach((one) => closeSync(one));
  closeSync(ours);
  await assert.rejects(sockets.receiveFds(theirs), code('ECONNRESET'));
  closeSync(theirs);
});

test('a cgroup: born in it, counted, frozen, killed, removed', async (t) => {
  const path = `${GROUP}/one`;
  t.after(async () => {
    await cgroups.kill(GROUP);
    await cgroups.remove(GROUP);
    assert.equal(cgroups.exists(GROUP), false);
  });
  cgroups.create(path);
  cgroups.create(path);
  assert.deepEqual(cgroups.list(GROUP), ['one']);
  const child = await processes.spawn({ ...shell('sleep 60 & sleep 60'), cgroup: path });
  const memberships = readFileSync(`/proc/${child.pid}/cgroup`, 'utf8').trim().split('\n');
  assert.ok(
    memberships.every((line) => line.endsWith(path)),
    memberships.join(' '),
  );
  while (cgroups.processes(path).length < 3) await sleep(5);
  assert.deepEqual(cgroups.processes(GROUP).length, 3);
  await cgroups.freeze(path);
  assert.equal(cgroups.isFrozen(path), true);
  await assert.rejects(cgroups.remove(path), code('EBUSY'));
  await cgroups.kill(path);
  assert.deepEqual(await child.exited, { signal: 9 });
  assert.equal(cgroups.oomKills(path), 0);
  await cgroups.remove(path);
  assert.deepEqual(cgroups.list(GROUP), []);
  assert.throws(() => cgroups.create('/../x'), code('EINVAL'));
});

test('the group of this process is known', () => {
  assert.ok(['v1', 'v2', 'hybrid'].includes(cgroups.version));
  assert.ok(cgroups.controllers.includes('memory'));
});
