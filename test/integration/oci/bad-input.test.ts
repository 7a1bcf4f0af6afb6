import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { cgroupHierarchies } from '../../support/leaks.ts';
import { cannotRun, type World, worldFor } from './world.ts';

const skip = cannotRun();

/** What is put into an otherwise good config.json, by its path, and what the refusal has to name. */
const BAD: Readonly<Record<string, { readonly at: string; readonly value: unknown; readonly says: RegExp }>> =
  {
    'arguments of a wrong type': { at: 'process.args', value: 5, says: /process\.args/ },
    'one argument of a wrong type': { at: 'process.args', value: ['a', 5], says: /process\.args\[1\]/ },
    'no arguments': { at: 'process.args', value: [], says: /process\.args/ },
    'an environment of a wrong type': { at: 'process.env', value: 'A=1', says: /process\.env/ },
    'a relative working directory': { at: 'process.cwd', value: 'tmp', says: /process\.cwd/ },
    'a negative uid': { at: 'process.user.uid', value: -1, says: /process\.user\.uid/ },
    'an unknown capability': {
      at: 'process.capabilities.bounding',
      value: ['CAP_NOPE'],
      says: /process\.capabilities\.bounding\[0\].*CAP_NOPE/,
    },
    'an unknown limit': {
      at: 'process.rlimits',
      value: [{ type: 'RLIMIT_NOPE', soft: 1, hard: 1 }],
      says: /process\.rlimits\[0\]/,
    },
    'a soft limit above the hard one': {
      at: 'process.rlimits',
      value: [{ type: 'RLIMIT_NOFILE', soft: 2, hard: 1 }],
      says: /process\.rlimits\[0\]/,
    },
    'an unknown namespace': {
      at: 'linux.namespaces',
      value: [{ type: 'nope' }],
      says: /linux\.namespaces\[0\]/,
    },
    'a namespace twice': {
      at: 'linux.namespaces',
      value: [{ type: 'mount' }, { type: 'mount' }],
      says: /linux\.namespaces\[1\]/,
    },
    'a root that is not there': { at: 'root.path', value: 'none', says: /root\.path/ },
    'a root that is a file': { at: 'root.path', value: 'config.json', says: /root\.path/ },
    'no root': { at: 'root', value: null, says: /root/ },
    'a mount out of the root': {
      at: 'mounts',
      value: [{ destination: '/../../etc', type: 'tmpfs', source: 'tmpfs' }],
      says: /mounts\[0\]/,
    },
    'a mount without a destination': {
      at: 'mounts',
      value: [{ type: 'tmpfs' }],
      says: /mounts\[0\]\.destination/,
    },
    'too many mounts': {
      at: 'mounts',
      value: Array.from({ length: 20_000 }, () => ({ destination: '/mnt', type: 'tmpfs', source: 'tmpfs' })),
      says: /mounts/,
    },
    'as many arguments as no plan can have': {
      at: 'process.args',
      value: Array.from({ length: 70_000 }, () => 'a'),
      says: /process\.args/,
    },
    'an environment larger than a plan': {
      at: 'process.env',
      value: Array.from({ length: 50 }, (_, i) => `V${i}=${'x'.repeat(100_000)}`),
      says: /process\.env: with it the launch plan is larger than \d+ bytes/,
    },
    'more devices than a plan has operations': {
      at: 'linux.devices',
      value: Array.from({ length: 9000 }, (_, i) => ({ path: `/dev/x${i}`, type: 'c', major: 1, minor: 3 })),
      says: /linux\.devices/,
    },
    'an unknown seccomp action': {
      at: 'linux.seccomp',
      value: { defaultAction: 'SCMP_ACT_NOPE' },
      says: /linux\.seccomp\.defaultAction/,
    },
    'an unknown system call': {
      at: 'linux.seccomp',
      value: {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['read', 'no_such_call'], action: 'SCMP_ACT_LOG' }],
      },
      says: /linux\.seccomp\.syscalls\[0\]\.names\[1\]: unknown system call "no_such_call"/,
    },
    'a seccomp listener': {
      at: 'linux.seccomp',
      value: {
        defaultAction: 'SCMP_ACT_ALLOW',
        listenerPath: '/x',
        syscalls: [{ names: ['read'], action: 'SCMP_ACT_NOTIFY' }],
      },
      says: /linux\.seccomp/,
    },
    intelRdt: { at: 'linux.intelRdt', value: { closID: 'x' }, says: /linux\.intelRdt/ },
    'a sysctl of the host': { at: 'linux.sysctl', value: { 'kernel.panic': '1' }, says: /linux\.sysctl/ },
    'a device without a type': {
      at: 'linux.devices',
      value: [{ path: '/dev/x' }],
      says: /linux\.devices\[0\]/,
    },
    'a hook with a relative path': {
      at: 'hooks',
      value: { prestart: [{ path: 'x' }] },
      says: /hooks\.prestart\[0\]/,
    },
    'a cgroup for systemd': {
      at: 'linux.cgroupsPath',
      value: 'system.slice:runc:one',
      says: /linux\.cgroupsPath/,
    },
    'a version of another kind': { at: 'ociVersion', value: 1, says: /ociVersion/ },
  };

function put(spec: object, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let at = spec as Record<string, unknown>;
  for (const name of names) at = at[name] as Record<string, unknown>;
  if (value === null) delete at[last];
  else at[last] = value;
}

async function nothingMade(world: World): Promise<void> {
  assert.equal(await world.must(['list', '-q']), '');
  assert.deepEqual(await world.leaks(), []);
}

test('a bad spec is refused before anything is made, with the path of what is wrong', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000']);
  for (const [what, { at, value, says }] of Object.entries(BAD)) {
    await t.test(what, async () => {
      const spec = world.spec(['sleep', '1000'], bundle);
      put(spec, at, value);
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
      assert.match(await world.refused(['create', '-b', bundle, 'one']), says);
      await nothingMade(world);
      assert.deepEqual(readdirSync(join(bundle, 'rootfs/mnt')), []);
    });
  }
});

/** Everything below, with what a change would change. */
function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mode, size, mtimeMs, ctimeMs } = lstatSync(path);
      return `${path} ${mode} ${size} ${mtimeMs} ${ctimeMs}`;
    })
    .toSorted();
}

/** Links and files in the image, and the target that they spoil. */
const SPOILED: Readonly<Record<string, { readonly target: string; readonly says: string }>> = {
  'in a circle': { target: '/mnt/one/x', says: 'too many levels of symbolic links' },
  'in a circle at its end': { target: '/mnt/two', says: 'too many levels of symbolic links' },
  'past something missing, in a circle': {
    target: '/mnt/past/x',
    says: 'too many levels of symbolic links',
  },
  'through a file': { target: '/etc/passwd/x', says: 'not a directory' },
};

test('a mount target that leads nowhere is refused before anything is made', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000']);
  const rootfs = join(bundle, 'rootfs');
  for (const [name, target] of Object.entries({ one: 'two', two: '/mnt/one', past: 'missing/../one' }))
    symlinkSync(target, join(rootfs, 'mnt', name));
  const hook = { path: '/bin/touch', args: ['touch', join(world.directory, 'hook-ran')] };
  for (const [what, { target, says }] of Object.entries(SPOILED)) {
    for (const type of ['tmpfs', 'bind']) {
      await t.test(`${what}, ${type}`, async () => {
        const spec = world.spec(['sleep', '1000'], bundle);
        const options = type === 'bind' ? ['bind'] : [];
        spec.mounts.push({ destination: target, type, source: '/etc', options });
        const hooks = { createRuntime: [hook] };
        writeFileSync(join(bundle, 'config.json'), JSON.stringify({ ...spec, hooks }));
        const before = listing(world.directory);
        const message = await world.refused(['create', '-b', bundle, 'one']);
        assert.equal(message, `runc create failed: mounts[4].destination: "${target}": ${says}`);
        const made = listing(world.directory).filter((line) => !/\/call-\d+\.(out|err) /.test(line));
        assert.deepEqual(
          made,
          before.filter((line) => !/\/call-\d+\.(out|err) /.test(line)),
        );
        for (const hierarchy of await cgroupHierarchies())
          assert.ok(!existsSync(join(hierarchy, world.cgroup)), hierarchy);
      });
    }
  }
});

test('a mount target is good when a mount before it covers what leads in a circle', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['ls', '/mnt'], (spec) => {
    spec.mounts.push(
      { destination: '/mnt', type: 'tmpfs', source: 'tmpfs', options: [] },
      { destination: '/way/one/x', type: 'tmpfs', source: 'tmpfs', options: [] },
    );
  });
  for (const [name, target] of Object.entries({ 'mnt/one': 'two', 'mnt/two': 'one', way: 'mnt' }))
    symlinkSync(target, join(bundle, 'rootfs', name));
  assert.equal(await world.must(['run', '-b', bundle, 'one']), 'one\n');
});

test('a bundle that cannot be read is refused', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['true']);
  const config = join(bundle, 'config.json');
  const refused = (...flags: string[]): Promise<string> =>
    world.refused(['create', ...flags, '-b', bundle, 'one']);
  writeFileSync(config, '{"ociVersion":"1.0.2"');
  assert.match(await refused(), /config\.json/);
  writeFileSync(config, '[]');
  assert.match(await refused(), /config\.json: must be an object/);
  truncateSync(config, LIMITS.ociSpecBytes + 1);
  assert.match(await refused(), /config\.json is larger than/);
  rmSync(config);
  assert.equal(await refused(), 'runc create failed: JSON specification file config.json not found');
  rmSync(bundle, { recursive: true });
  assert.equal(await refused(), `runc create failed: chdir ${bundle}: no such file or directory`);
  await nothingMade(world);
});

test('a bad command line is refused', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['true']);
  const cases: readonly (readonly [args: string[], says: RegExp | string])[] = [
    [['create', '-b', bundle, 'a/b'], 'runc create failed: invalid container ID format'],
    [['create', '-b', bundle, '..'], 'runc create failed: invalid container ID format'],
    [['create', '-b', bundle], /"create" requires exactly 1 argument/],
    [['create', '--nope', 'x'], 'flag provided but not defined: -nope'],
    [['create', '-b', bundle, '--preserve-fds', '999', 'one'], /no more than \d+ descriptors/],
    [['create', '-b', bundle, '--pid-file', '/none/x', 'one'], /\/none/],
    [['kill', 'none', 'TERM'], 'container does not exist'],
    [['state'], /"state" requires exactly 1 argument/],
  ];
  for (const [args, says] of cases) {
    const message = await world.refused(args);
    if (typeof says === 'string') assert.equal(message, says);
    else assert.match(message, says);
  }
  assert.match(
    await world.refused(['run', '-b', bundle, 'one'], { globals: ['--systemd-cgroup'] }),
    /--systemd-cgroup is not supported/,
  );
  assert.match(
    await world.refused(['create', '-b', bundle, 'one'], { root: '/proc/none/deep' }),
    /\/proc\/none/,
  );
  assert.equal((await world.oci(['nope'])).exit, 3);
  assert.equal((await world.oci(['list'], { globals: ['--log-format', 'x'] })).exit, 1);
  await nothingMade(world);
});

test('a program that cannot be executed is told, and nothing is left', { skip }, async (t) => {
  const world = worldFor(t);
  const cases: readonly (readonly [args: string[], message: string])[] = [
    [['nope'], 'exec: "nope": executable file not found in $PATH'],
    [['/nope'], 'exec: "/nope": stat /nope: no such file or directory'],
    [['/etc/passwd'], 'exec: "/etc/passwd": permission denied'],
  ];
  for (const [args, message] of cases) {
    const bundle = world.bundle(args);
    const said = await world.refused(['run', '-b', bundle, 'one']);
    assert.equal(
      said,
      `runc run failed: unable to start container process: error during container init: ${message}`,
    );
    await nothingMade(world);
  }
});

test('messages go to the log file as JSON, and to standard error as they are', { skip }, async (t) => {
  const world = worldFor(t);
  mkdirSync(join(world.directory, 'logs'));
  const log = join(world.directory, 'logs/log');
  const result = await world.oci(['state', 'none'], { globals: ['--log', log, '--log-format', 'json'] });
  assert.deepEqual(result, { exit: 1, stdout: '', stderr: 'container does not exist\n' });
  const { readFileSync } = await import('node:fs');
  const line = JSON.parse(readFileSync(log, 'utf8')) as Record<string, string>;
  assert.deepEqual([line['level'], line['msg']], ['error', 'container does not exist']);
  assert.match(line['time'] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});
