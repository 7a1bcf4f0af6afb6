/** Every mount operation of a launch plan, once well and once failing, also in roots that mean harm. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_SLOT, type Operation } from '../../../src/runtime/launch-plan/operations.ts';
import {
  ATTR,
  CLONE,
  errno,
  mountDev,
  mountProc,
  node,
  O_PATH,
  OTHER,
  ROOT,
  Sandbox,
  SPARE,
} from './sandbox.ts';

const MOUNTINFO = 'cat /proc/self/mountinfo';

/** `root point options - type source super options` of one mount point, without what changes. */
function mountAt(lines: readonly string[], point: string): string {
  const found = lines.map((line) => line.split(' ')).filter((fields) => fields[4] === point);
  const fields = found.at(-1) ?? assert.fail(`nothing is mounted at ${point}`);
  // Kernels are configured to show how tmpfs counts inodes, or not to.
  return [fields[3], ...fields.slice(5)].join(' ').replace(/,inode(32|64)$/, '');
}

function make(type: string, options: readonly string[] = [], attributes = 0): Operation {
  return { op: 'makeMount', slot: SPARE, type, source: type, options, attributes };
}

const attach = (path: string, slot = SPARE): Operation => ({ op: 'attach', slot, root: ROOT, path });

const openNull: readonly Operation[] = [
  { op: 'open', slot: OTHER, at: ROOT, path: '/dev/null', flags: O_PATH, mode: 0, resolve: 0x12 },
];

const mask = (path: string, ignore: readonly number[] = []): Operation => ({
  op: 'mask',
  root: ROOT,
  path,
  null: OTHER,
  ignore,
});

const readonly = (path: string, ignore: readonly number[] = []): Operation => ({
  op: 'makeReadonly',
  root: ROOT,
  path,
  ignore,
});

test('file systems of the kernel are mounted with their options, at targets that are made', (t) => {
  const box = new Sandbox(t);
  const flags = ATTR.noSuid | ATTR.noDev | ATTR.noExec;
  const lines = box.lines({
    flags: CLONE.mount | CLONE.ipc | CLONE.pid | CLONE.network,
    outside: [
      ...mountProc,
      ...mountDev,
      make('devpts', ['newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'], ATTR.noSuid | ATTR.noExec),
      attach('/dev/pts'),
      make('tmpfs', ['mode=1777', 'size=65536k'], flags),
      attach('/dev/shm'),
      make('mqueue', [], flags),
      attach('/dev/mqueue'),
      make('sysfs', ['ro'], flags | ATTR.readonly),
      attach('/sys'),
      make('tmpfs', [], ATTR.readonly),
      attach('/not/there/yet'),
    ],
    script: MOUNTINFO,
  });
  assert.equal(mountAt(lines, '/proc'), '/ rw,relatime - proc proc rw');
  assert.match(mountAt(lines, '/dev'), /^\/ rw,nosuid,relatime - tmpfs tmpfs rw,.*mode=755/);
  const pts = '/ rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666';
  assert.equal(mountAt(lines, '/dev/pts'), pts);
  const shm = '/ rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=65536k';
  assert.equal(mountAt(lines, '/dev/shm'), shm);
  assert.equal(mountAt(lines, '/dev/mqueue'), '/ rw,nosuid,nodev,noexec,relatime - mqueue mqueue rw');
  assert.equal(mountAt(lines, '/sys'), '/ ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro');
  assert.equal(mountAt(lines, '/not/there/yet'), '/ ro,relatime - tmpfs tmpfs rw');
});

test('what a file system refuses is told in its own words', (t) => {
  const box = new Sandbox(t);
  assert.match(box.fails({ outside: [make('no-such-system')] }, 'ENODEV'), /fsopen: no-such-system$/);
  assert.match(box.fails({ outside: [make('tmpfs', ['bogus'])] }, 'EINVAL'), /fsconfig: tmpfs: .*'bogus'$/);
  assert.match(box.fails({ outside: [make('tmpfs', ['size=x'])] }, 'EINVAL'), /fsconfig: tmpfs: .*size/);
  assert.match(box.fails({ outside: [make('ext4')] }, 'ENOENT'), /^makeMount: fsconfig: /);
  const long = `${'k'.repeat(256)}=1`;
  assert.match(box.fails({ outside: [make('tmpfs', [long])] }, 'EINVAL'), /fsconfig: k+=1$/);
});

test('the mode of a tmpfs is that of the directory it covers, a read-only one, too', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('covered');
  const tmpfs = (path: string, options: readonly string[], attributes = 0): Operation[] => [
    { op: 'makeTmpfs', slot: SPARE, root: ROOT, path, source: 'tmpfs', options, attributes },
    attach(path),
  ];
  const outside = [...tmpfs('/covered', []), ...tmpfs('/new', []), ...tmpfs('/covered', [], ATTR.readonly)];
  const modes = [2, 4, 6].map((count) =>
    box.output({ outside: outside.slice(count - 2, count), script: 'stat -c %a /covered /new 2>&-; :' }),
  );
  assert.deepEqual(modes, ['755\n', '755\n1777\n', '755\n755\n']);
  const failing: Operation[] = tmpfs('/covered', ['size=x']);
  assert.match(box.fails({ outside: failing }, 'EINVAL'), /^makeTmpfs: fsconfig: tmpfs: /);
});

test('a file is bound onto a file that is made; onto a directory it is refused', (t) => {
  const box = new Sandbox(t);
  box.file('source', 'content');
  box.directoryAt('etc');
  const tree: Operation = { op: 'openTree', slot: SPARE, at: ROOT, path: '/source', recursive: 0 };
  assert.equal(box.output({ outside: [tree, attach('/new/file')], script: 'cat /new/file' }), 'content');
  assert.equal(box.fails({ outside: [tree, attach('/etc')] }, 'ENOTDIR'), 'attach: move_mount: /etc');
  assert.match(box.fails({ outside: [attach('/etc', 99)] }, 'EBADF'), /^attach: /);
});

test('links on the way to a target stay inside of the root', (t) => {
  const box = new Sandbox(t);
  const outside = join(box.directory, 'outside');
  mkdirSync(outside);
  box.link('absolute', outside);
  box.link('climbing', '../../../../../../outside');
  box.link('chain', 'absolute/deeper');
  for (const [name, place] of [
    ['/absolute', outside],
    ['/climbing/x', '/outside/x'],
    ['/chain', join(outside, 'deeper')],
  ] as const) {
    const lines = box.lines({ outside: [...mountProc, make('tmpfs'), attach(name)], script: MOUNTINFO });
    assert.match(mountAt(lines, place), /^\/ rw,relatime - tmpfs/);
  }
  assert.deepEqual(readdirSync(outside), []);
  assert.ok(!existsSync('/outside'));
  box.link('loop', 'loop');
  assert.equal(
    box.fails({ outside: [make('tmpfs'), attach('/loop/x')] }, 'ELOOP'),
    'attach: openat2: /loop/x',
  );
});

test('magic links, and links into /proc, are no way to a target', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('proc');
  box.link('up', 'proc/self/root');
  box.link('cwd', '/proc/1/cwd');
  for (const path of ['/up/x', '/cwd/x', '/proc/self/cwd', '/proc/self/fd/0']) {
    const text = box.fails({ outside: [...mountProc, make('tmpfs'), attach(path)] }, 'ELOOP');
    assert.equal(text, `attach: openat2: ${path}`);
  }
  box.link('innocent', 'proc/sys');
  const text = box.fails({ outside: [...mountProc, make('tmpfs'), attach('/innocent')] }, 'ELOOP');
  assert.equal(text, 'attach: openat2: /innocent');
  const lines = box.lines({
    outside: [...mountProc, make('tmpfs'), attach('/proc/acpi')],
    script: MOUNTINFO,
  });
  assert.match(mountAt(lines, '/proc/acpi'), /tmpfs/);
});

test("a path becomes read-only with the mounts' other flags kept; an absent one only when that is ignored", (t) => {
  const box = new Sandbox(t);
  box.directoryAt('plain');
  box.directoryAt('strict');
  const lines = box.lines({
    outside: [...mountProc, make('tmpfs', [], ATTR.noSuid | ATTR.noDev | ATTR.noExec), attach('/strict')],
    inside: [
      readonly('/proc/sys'),
      readonly('/plain'),
      readonly('/strict'),
      readonly('/absent', [errno['ENOENT'] ?? 0]),
    ],
    script: `${MOUNTINFO}; touch /plain/x 2>&- || echo read-only`,
  });
  assert.equal(lines.at(-1), 'read-only');
  assert.equal(mountAt(lines, '/proc/sys'), '/sys ro,relatime - proc proc rw');
  assert.match(mountAt(lines, '/strict'), /^\/ ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw/);
  assert.equal(box.fails({ inside: [readonly('/absent')] }, 'ENOENT'), 'makeReadonly: openat2: /absent');
});

test('a masked file is the null device, a masked directory an empty read-only one', (t) => {
  const box = new Sandbox(t);
  box.file('secret', 'x');
  box.directoryAt('secrets');
  box.file('secrets/one');
  box.link('way', '/secret');
  const devices = [...mountProc, ...mountDev, node('/dev/null', 1, 3)];
  const lines = box.lines({
    outside: devices,
    inside: [...openNull, mask('/way'), mask('/secrets'), mask('/none', [errno['ENOENT'] ?? 0])],
    script: `${MOUNTINFO}; cat /secret; ls -A /secrets; touch /secrets/x 2>&- || echo read-only`,
  });
  assert.equal(lines.at(-1), 'read-only');
  assert.equal(mountAt(lines, '/secrets'), '/ ro,relatime - tmpfs tmpfs ro');
  assert.match(mountAt(lines, '/secret'), /^\/null rw,nosuid,relatime - tmpfs tmpfs rw/);
  const text = box.fails({ outside: devices, inside: [...openNull, mask('/none')] }, 'ENOENT');
  assert.equal(text, 'mask: openat2: /none');
});

test('only the true null device masks', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('dev');
  box.file('secret', 'x');
  const trial = (how: readonly Operation[]): string =>
    box.fails({ outside: how, inside: [...openNull, mask('/secret')] }, 'ENODEV');
  box.file('dev/null');
  assert.equal(trial([]), 'mask: fstat: /dev/null');
  trial([...mountDev, node('/dev/null', 1, 5)]);
  const fifo: Operation = {
    op: 'makeNode',
    root: ROOT,
    path: '/dev/null',
    mode: 0o010666,
    major: 0,
    minor: 0,
    uid: 0,
    gid: 0,
  };
  trial([...mountDev, fifo]);
});

function attributes(at: number, path: string, set: number): Operation {
  const rest = { clear: 0, propagation: 0, recursive: 0, userns: NO_SLOT };
  return { op: 'setMountAttributes', at, path, set, ...rest };
}

test('attributes change by slot, by path in the root, and of / itself', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('in');
  const lines = box.lines({
    outside: [
      ...mountProc,
      make('tmpfs'),
      attributes(SPARE, '', ATTR.noSuid),
      attach('/in'),
      attributes(ROOT, '/in', ATTR.noExec),
    ],
    inside: [attributes(NO_SLOT, '/', ATTR.readonly)],
    script: `${MOUNTINFO}; touch /x 2>&- || echo read-only`,
  });
  assert.equal(lines.at(-1), 'read-only');
  assert.match(mountAt(lines, '/in'), /^\/ rw,nosuid,noexec,relatime /);
  const text = box.fails({ outside: [attributes(ROOT, '/in', ATTR.noExec)] }, 'EINVAL');
  assert.equal(text, 'setMountAttributes: mount_setattr: /in');
  assert.match(box.fails({ inside: [attributes(NO_SLOT, '/in', 1)] }, 'EINVAL'), /mount_setattr: \/in$/);
});

test('tmpcopyup copies what the tmpfs covers: kinds, modes, owners, links, and nothing from outside', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('src/deep/er');
  box.file('src/file', 'x'.repeat(200_000));
  box.file('src/deep/er/set', 'y');
  box.link('src/away', '/etc/passwd');
  const copy = (path: string): Operation[] => [
    make('tmpfs'),
    { op: 'copyUp', slot: SPARE, root: ROOT, path },
    attach('/copy'),
  ];
  const prepare =
    'chown 5:6 /src/deep; chmod 4755 /src/deep/er/set; mknod /src/pipe p; mknod /src/null c 1 3';
  box.output({ script: prepare.replaceAll(/(chown|chmod|mknod)/g, '/bin/busybox $1') });
  const list = (place: string): string =>
    `cd ${place} && /bin/busybox find . -mindepth 1 -exec stat -c '%N %a %u:%g %F %s' {} + | grep -v directory; ` +
    "stat -c '%n %a %u:%g' deep deep/er; cat file deep/er/set | /bin/busybox md5sum";
  const inOrder = (text: string): string[] => text.split('\n').toSorted();
  const copied = inOrder(box.output({ outside: copy('/src'), script: list('/copy') }));
  assert.deepEqual(copied, inOrder(box.output({ script: list('/src') })));
  assert.ok(copied.some((line) => line.startsWith('./deep/er/set 4755')));
  assert.equal(box.fails({ outside: copy('/none') }, 'ENOENT'), 'copyUp: openat2: /none');
  assert.equal(box.fails({ outside: copy('/src/file') }, 'ENOTDIR'), 'copyUp: openat2: /src/file');
  box.directoryAt('nested', ...Array.from({ length: 80 }, () => 'd'));
  assert.equal(box.fails({ outside: copy('/nested') }, 'ELOOP'), 'copyUp: copyUp: /nested');
});

test('after the pivot nothing of the host is mounted, reachable, or changed', (t) => {
  const box = new Sandbox(t);
  const before = readFileSync('/proc/self/mountinfo', 'utf8');
  const lines = box.lines({ outside: mountProc, script: `${MOUNTINFO}; ls /..` });
  assert.deepEqual(lines.slice(2), ['bin', 'proc']);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), before);
  const slot: Operation = {
    op: 'open',
    slot: SPARE,
    at: ROOT,
    path: '/bin',
    flags: O_PATH,
    mode: 0,
    resolve: 0,
  };
  assert.match(
    box.fails({ outside: [slot], enter: [{ op: 'pivot', root: SPARE }] }, 'EINVAL'),
    /pivot_root: $/,
  );
});

test('without pivot the root is moved, and no procfs or sysfs of the host stays', (t) => {
  const box = new Sandbox(t);
  const hide = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - (proc|sysfs) /.test(line) && line.split(' ')[3] === '/')
    .map((line) => line.split(' ')[4] ?? '');
  const lines = box.lines({
    outside: mountProc,
    enter: [{ op: 'moveRoot', root: ROOT, hide }],
    script: `${MOUNTINFO}; ls /`,
  });
  assert.deepEqual(lines.slice(-2), ['bin', 'proc']);
  const systems = lines.filter((line) => / - (proc|sysfs) /.test(line));
  assert.equal(systems.length, 1);
  const file: Operation = {
    op: 'open',
    slot: SPARE,
    at: ROOT,
    path: '/bin',
    flags: O_PATH,
    mode: 0,
    resolve: 0,
  };
  const text = box.fails({ outside: [file], enter: [{ op: 'moveRoot', root: SPARE, hide: [] }] }, 'EINVAL');
  assert.equal(text, 'moveRoot: mount: /');
});

test('the root goes to a host path that exists', (t) => {
  const box = new Sandbox(t);
  const again: Operation = { op: 'attachRoot', slot: SPARE, path: '/not/there' };
  const text = box.fails({ outside: [make('tmpfs'), again] }, 'ENOENT');
  assert.equal(text, 'attachRoot: move_mount: /not/there');
});
