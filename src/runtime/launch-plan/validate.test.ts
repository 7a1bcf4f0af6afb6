import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { validateProcess, validateSpec } from './validate.ts';

interface Minimal {
  [member: string]: unknown;
  process: Record<string, unknown>;
  linux: Record<string, unknown>;
}

function minimal(): Minimal {
  return {
    ociVersion: '1.2.1',
    process: { user: { uid: 0, gid: 0 }, args: ['true'], cwd: '/' },
    root: { path: 'rootfs' },
    linux: { namespaces: [{ type: 'mount' }] },
  };
}

/** The minimal spec with one member changed. */
function changed(path: string, value: unknown): unknown {
  const spec: Record<string, unknown> = minimal();
  const names = path.split('.');
  let at = spec;
  for (const name of names.slice(0, -1)) {
    const next = at[name] ?? {};
    at[name] = next;
    at = next as Record<string, unknown>;
  }
  at[names.at(-1) ?? ''] = value;
  return spec;
}

test('what has the right types comes out as it is, without what nobody knows', () => {
  assert.deepEqual(validateSpec(minimal()), minimal());
  assert.deepEqual(validateSpec({ ...minimal(), future: { a: 1 }, hostname: null }), minimal());
  const { user: _user, ...process } = minimal().process;
  assert.deepEqual(validateSpec({ ...minimal(), process }).process?.user, { uid: 0, gid: 0 });
});

test('a filter that says nothing is none', () => {
  assert.equal(validateSpec(changed('linux.seccomp', { syscalls: [] })).linux?.seccomp, undefined);
});

test('the recorded specs are all good', () => {
  const file = new URL('../../../test/reference/oci-config-goldens.json', import.meta.url);
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { config?: Minimal }>;
  for (const [name, { config }] of Object.entries(recorded)) {
    if (config === undefined) continue;
    // The recording writes a profile once, and then its name.
    if (typeof config.linux['seccomp'] === 'string') delete config.linux['seccomp'];
    assert.deepEqual(validateSpec(config), config, name);
  }
});

/** Member, value, and what the error says. */
const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ['ociVersion', '2.0.0', 'ociVersion: unsupported version "2.0.0"'],
  ['ociVersion', 1, 'ociVersion: must be a string, not a number'],
  ['root', undefined, 'root: must be specified'],
  ['root', {}, 'root.path: missing'],
  ['root.path', '', 'root.path: must be specified'],
  ['root.path', 'a\0b', 'root.path: a NUL character'],
  ['root.readonly', 'yes', 'root.readonly: must be a boolean, not a string'],
  ['process', undefined, 'process: must be specified'],
  ['process', [], 'process: must be an object, not a list'],
  ['process.args', [], 'process.args: args must not be empty'],
  ['process.args', ['a', 1], 'process.args[1]: must be a string, not a number'],
  ['process.cwd', 'tmp', 'process.cwd: Cwd must be an absolute path'],
  ['process.user', 5, 'process.user: must be an object, not a number'],
  ['process.user.uid', -1, 'process.user.uid: -1 is not a whole number from 0 to 4294967295'],
  ['process.user.gid', 1.5, 'process.user.gid: 1.5 is not a whole number from 0 to 4294967295'],
  ['process.user.additionalGids', [0, '1'], 'process.user.additionalGids[1]: must be a number, not a string'],
  [
    'process.capabilities',
    { bounding: ['CAP_CHOWN', 'CAP_NOSUCH'] },
    'process.capabilities.bounding[1]: unknown capability "CAP_NOSUCH"',
  ],
  ['process.rlimits', [{ type: 'RLIMIT_CPU', soft: 1 }], 'process.rlimits[0].hard: missing'],
  [
    'process.scheduler',
    { policy: 'SCHED_OTHER', nice: 20 },
    'process.scheduler.nice: invalid scheduler.nice: 20',
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_OTHER', priority: 1 },
    'process.scheduler.priority: can only be specified for SCHED_FIFO or SCHED_RR',
  ],
  [
    'process.consoleSize',
    { height: 70_000, width: 1 },
    'process.consoleSize.height: 70000 is not a whole number from 0 to 65535',
  ],
  ['mounts', [{ source: 'x' }], 'mounts[0].destination: missing'],
  ['mounts', Array.from({ length: 901 }, () => ({ destination: '/a' })), 'mounts: more than 900 entries'],
  [
    'mounts',
    [{ destination: '/a', options: ['ro', true] }],
    'mounts[0].options[1]: must be a string, not a boolean',
  ],
  ['hooks', { poststop: [{ path: 'x' }] }, 'hooks.poststop[0].path: must be an absolute path'],
  [
    'hooks',
    { prestart: [{ path: '/x', timeout: 0 }] },
    'hooks.prestart[0].timeout: must be greater than zero',
  ],
  ['linux', undefined, 'linux: must be specified'],
  [
    'linux.namespaces',
    [{ type: 'mount' }, { type: 'moon' }],
    'linux.namespaces[1].type: unknown namespace "moon"',
  ],
  [
    'linux.namespaces',
    [{ type: 'mount' }, { type: 'mount' }],
    'linux.namespaces[1].type: malformed spec file: duplicated ns "mount"',
  ],
  ['linux.namespaces', [{ type: 'pid', path: 'x' }], 'linux.namespaces[0].path: must be an absolute path'],
  [
    'linux.uidMappings',
    [{ containerID: 0, hostID: 0, size: 1 }],
    "linux.uidMappings: User namespace mappings specified, but USER namespace isn't enabled in the config",
  ],
  [
    'linux.timeOffsets',
    { monotonic: { secs: 1 } },
    "linux.timeOffsets: time namespace offsets specified, but time namespace isn't enabled in the config",
  ],
  ['linux.devices', [{ path: '/dev/x', type: 'q' }], 'linux.devices[0].type: invalid device type "q"'],
  ['linux.sysctl', { 'net.a': 1 }, 'linux.sysctl["net.a"]: must be a string, not a number'],
  [
    'linux.resources',
    { memory: { limit: '1m' } },
    'linux.resources.memory.limit: must be a number, not a string',
  ],
  ['linux.resources', { pids: {} }, 'linux.resources.pids.limit: missing'],
  [
    'linux.resources',
    { hugepageLimits: [{ pageSize: '../x', limit: 1 }] },
    'linux.resources.hugepageLimits[0].pageSize: "../x" is no page size',
  ],
  [
    'linux.seccomp',
    { defaultAction: 'A', listenerPath: '/x' },
    'linux.seccomp.listenerPath: is not supported',
  ],
  ['linux.intelRdt', { closID: 'x' }, 'linux.intelRdt: is not supported'],
  ['linux.memoryPolicy', {}, 'linux.memoryPolicy: is not supported'],
  ['vm', {}, 'vm: is not supported'],
];

for (const [path, value, expected] of REFUSED) {
  test(`refused: ${expected.slice(0, 90)}`, () => {
    assert.throws(
      () => validateSpec(changed(path, value)),
      (error) => {
        assert.ok(isEngineError(error, 'invalidArgument'));
        assert.equal(error.message, expected);
        return true;
      },
    );
  });
}

test('no value of another kind gets through, and none makes it fail otherwise', () => {
  const values = [null, true, 1, -1, 1e300, 'x', '', [], [null], [{}], {}, { a: 1 }, { length: 3 }];
  const members = ['ociVersion', 'process', 'root', 'hostname', 'mounts', 'hooks', 'annotations', 'linux'];
  const linux = ['namespaces', 'resources', 'devices', 'seccomp', 'sysctl', 'uidMappings', 'maskedPaths'];
  for (const path of [...members, ...linux.map((name) => `linux.${name}`), 'process.user', 'process.env']) {
    for (const value of values) {
      try {
        validateSpec(changed(path, value));
      } catch (error) {
        assert.ok(isEngineError(error, 'invalidArgument'), `${path}: ${String(error)}`);
      }
    }
  }
});

test('the process of an exec is held to the same', () => {
  assert.throws(
    () => validateProcess({ args: ['x'], cwd: '' }),
    /^EngineError: process.cwd: Cwd must be an absolute/,
  );
  assert.deepEqual(validateProcess({ args: ['x'], cwd: '/' }), {
    user: { uid: 0, gid: 0 },
    args: ['x'],
    cwd: '/',
  });
});
