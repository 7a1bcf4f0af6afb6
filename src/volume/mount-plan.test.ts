import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MountInput, MountRequest } from './model.ts';
import { mountPoints } from './mount-plan.ts';
import { isValidMode } from './mount-spec.ts';
import { mergeTmpfsOptions } from './tmpfs-options.ts';

const input = (change: Partial<MountInput>): MountInput => ({
  binds: [],
  mounts: [],
  tmpfs: {},
  volumes: [],
  ...change,
});
const bind = (raw: string) => mountPoints(input({ binds: [raw] }));
const mount = (request: MountRequest) => mountPoints(input({ mounts: [request] }));

test('the texts of the reference for wrong mounts', () => {
  const cases: readonly (readonly [() => unknown, string])[] = [
    [
      () => bind('/a:b'),
      "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
    ],
    [() => bind('a:b:c:d'), "invalid volume specification: 'a:b:c:d'"],
    [() => bind('/foo:rw'), "invalid volume specification: '/foo:rw'"],
    [() => bind('/a:/b:zz'), 'invalid mode: zz'],
    [() => bind('/a:/b:ro,rw'), 'invalid mode: ro,rw'],
    [
      () => bind('/a:/'),
      "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
    ],
    [() => mountPoints(input({ binds: ['/a:/x', '/b:/x'] })), 'Duplicate mount point: /x'],
    [() => mountPoints(input({ binds: ['/a:/x/'], tmpfs: { '/x': '' } })), 'Duplicate mount point: /x'],
    [
      () => mount({ Type: 'nosuch', Target: '/x' }),
      'invalid mount config for type "nosuch": mount type unknown',
    ],
    [
      () => mount({ Type: 'bind', Target: '/x' }),
      'invalid mount config for type "bind": field Source must not be empty',
    ],
    [
      () => mount({ Type: 'bind', Source: '/a', Target: '' }),
      'invalid mount config for type "bind": field Target must not be empty',
    ],
    [
      () => mount({ Type: 'tmpfs', Source: '/a', Target: '/x' }),
      'invalid mount config for type "tmpfs": field Source must not be specified',
    ],
    [
      () => mount({ Type: 'bind', Source: '/a', Target: '/x', BindOptions: { Propagation: 'x' } }),
      'invalid mount config for type "bind": invalid propagation mode: x',
    ],
  ];
  for (const [work, message] of cases) assert.throws(work, { kind: 'invalidArgument', message });
});

test('modes of -v', () => {
  for (const good of ['', 'ro', 'rw', 'z', 'ro,Z', 'ro,rshared', 'nocopy', 'consistent,ro'])
    assert.ok(isValidMode(good), good);
  for (const bad of ['x', 'ro,ro', 'z,Z', 'shared,slave', 'ro,']) assert.ok(!isValidMode(bad), bad);
});

test('mount points of every form', () => {
  const [b] = bind('/tmp/../tmp/h/:/h:ro,rslave');
  assert.deepEqual(
    [b?.type, b?.source, b?.destination, b?.readOnly, b?.mode, b?.propagation, b?.createSource],
    ['bind', '/tmp/h', '/h', true, 'ro,rslave', 'rslave', true],
  );
  const [v] = bind('data:/v:nocopy');
  assert.deepEqual([v?.type, v?.name, v?.copyUp, v?.anonymous], ['volume', 'data', false, false]);
  const [m] = mount({ Type: 'bind', Source: '/tmp', Target: '/h' });
  assert.deepEqual([m?.createSource, m?.propagation], [false, 'rprivate']);
  const both = mountPoints(input({ binds: ['/a:/data'], volumes: ['/data', '/other/'] }));
  assert.deepEqual(
    both.map((p) => [p.type, p.destination]),
    [
      ['bind', '/data'],
      ['volume', '/other'],
    ],
  );
});

const TMPFS = ['noexec', 'nosuid', 'nodev', 'rprivate'];
/** Destination, type, source, read-only, options of a tmpfs. */
const EXPECTED = [
  ['/h', 'bind', '/tmp', true, []],
  ['/h/a/b', 'bind', '/deep', false, []],
  ['/p', 'bind', '/tmp', true, []],
  ['/u', 'tmpfs', '', false, [...TMPFS, 'mode=700']],
  ['/t', 'tmpfs', '', false, [...TMPFS, 'size=1m']],
  ['/e', 'tmpfs', '', false, ['nosuid', 'nodev', 'rprivate', 'rw', 'size=1m', 'mode=700', 'exec']],
];

test('binds, mounts and tmpfs of one request', () => {
  const points = mountPoints(
    input({
      binds: ['/tmp:/h:ro', '/deep:/h/a/b'],
      mounts: [
        {
          Type: 'bind',
          Source: '/tmp',
          Target: '/p',
          ReadOnly: true,
          BindOptions: { Propagation: 'private' },
        },
        { Type: 'tmpfs', Target: '/u', TmpfsOptions: { Mode: 0o700 } },
      ],
      tmpfs: { '/t': 'size=1m', '/e': 'rw,size=1m,mode=700,exec' },
    }),
  );
  assert.deepEqual(
    points.map((point) => [point.destination, point.type, point.source, point.readOnly, point.tmpfsOptions]),
    EXPECTED,
  );
});

test('a later tmpfs option replaces an earlier one of its kind', () => {
  assert.deepEqual(
    mergeTmpfsOptions(['noexec', 'exec', 'size=1', 'size=2', 'shared', 'private', 'defaults']),
    ['exec', 'size=2', 'private'],
  );
  assert.throws(() => mergeTmpfsOptions(['size']), /invalid tmpfs option "size"/);
});
