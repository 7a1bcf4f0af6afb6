/** A root with everything in it, made by somebody who is root in a user namespace only. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_SLOT, type Operation, SYNC } from '../../../src/runtime/launch-plan/operations.ts';
import { ATTR, CLONE, mountDev, mountProc, OTHER, ROOT, Sandbox, SPARE } from './sandbox.ts';

const FIRST = 100_000;
const EVERYTHING = CLONE.mount | CLONE.uts | CLONE.ipc | CLONE.pid | CLONE.network | CLONE.user;

const maps: readonly Operation[] = ['uid_map', 'gid_map'].map((name) => ({
  op: 'writeChildFile',
  name,
  value: Buffer.from(`0 ${FIRST} 65536\n`),
}));

const become: readonly Operation[] = [
  { op: 'wait', point: SYNC.mapsWritten },
  { op: 'uid', uid: 0 },
  { op: 'gid', gid: 0 },
  { op: 'groups', gids: new Uint8Array() },
];

function mounted(
  [type, path]: readonly [type: string, path: string],
  attributes: number,
  options: readonly string[] = [],
): Operation[] {
  return [
    { op: 'makeMount', slot: SPARE, type, source: type, options, attributes },
    { op: 'attach', slot: SPARE, root: ROOT, path },
  ];
}

test('mounts, binds of devices, masks and read-only paths in a user namespace', (t) => {
  const box = new Sandbox(t);
  box.giveTo(FIRST);
  const flags = ATTR.noSuid | ATTR.noDev | ATTR.noExec;
  const nullSource: Operation = { op: 'openTree', slot: OTHER, at: NO_SLOT, path: '/dev/null', recursive: 0 };
  const lines = box.lines({
    flags: EVERYTHING,
    before: [nullSource],
    parent: [...maps, { op: 'tell', point: SYNC.mapsWritten }],
    first: become,
    outside: [
      ...mountProc,
      ...mountDev,
      ...mounted(['devpts', '/dev/pts'], ATTR.noSuid | ATTR.noExec, [
        'newinstance',
        'ptmxmode=0666',
        'gid=5',
      ]),
      ...mounted(['mqueue', '/dev/mqueue'], flags),
      ...mounted(['sysfs', '/sys'], flags | ATTR.readonly, ['ro']),
      { op: 'attach', slot: OTHER, root: ROOT, path: '/dev/null' },
      { op: 'loopbackUp' },
      { op: 'hostname', name: 'inner' },
    ],
    inside: [
      { op: 'makeReadonly', root: ROOT, path: '/proc/sys' },
      { op: 'mask', root: ROOT, path: '/proc/timer_list', null: OTHER },
      { op: 'mask', root: ROOT, path: '/proc/acpi', null: OTHER, ignore: [2] },
      { op: 'mask', root: ROOT, path: '/sys/firmware', null: OTHER },
    ],
    script: `cat /proc/self/mountinfo; id -u; /bin/busybox hostname; echo x >/dev/null; cat /proc/timer_list
      /bin/busybox ip -o link show lo; ls -A /sys/firmware; touch /proc/sys/x 2>&- || echo refused`,
  });
  const points = lines
    .filter((line) => line.includes(' - '))
    .map((line) => line.split(' ').slice(4, 6).join(' '));
  const wanted = [
    '/proc rw,relatime',
    '/dev rw,nosuid,relatime',
    '/dev/pts rw,nosuid,noexec,relatime',
    '/dev/mqueue rw,nosuid,nodev,noexec,relatime',
    '/sys ro,nosuid,nodev,noexec,relatime',
    '/proc/sys ro,relatime',
    '/sys/firmware ro,relatime',
  ];
  for (const point of wanted) assert.ok(points.includes(point), `${point} in ${points.join('\n')}`);
  assert.ok(points.some((point) => point.startsWith('/proc/timer_list ')));
  const rest = lines.filter((line) => !line.includes(' - '));
  assert.deepEqual([rest[0], rest[1], rest[3]], ['0', 'inner', 'refused']);
  assert.match(rest[2] ?? '', /LOOPBACK,UP/);
});

test('without the device a node cannot be made there', (t) => {
  const box = new Sandbox(t);
  box.giveTo(FIRST);
  const rest = { mode: 0o020666, major: 1, minor: 3, uid: 0, gid: 0 };
  const trial = {
    flags: EVERYTHING,
    parent: [...maps, { op: 'tell', point: SYNC.mapsWritten } as Operation],
    first: become,
    outside: [...mountDev, { op: 'makeNode', root: ROOT, path: '/dev/null', ...rest } as Operation],
  };
  assert.equal(box.fails(trial, 'EPERM'), 'makeNode: mknodat: /dev/null');
});
