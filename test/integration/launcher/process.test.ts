/** What a plan does to the process itself, once well and once failing. */
import assert from 'node:assert/strict';
import { chmodSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { type Operation, SLOT } from '../../../src/runtime/launch-plan/operations.ts';
import {
  CLONE,
  mountDev,
  mountProc,
  node,
  O_PATH,
  OTHER,
  ROOT,
  Sandbox,
  SPARE,
  type Trial,
} from './sandbox.ts';

const SECCOMP_ERRNO_1 = 0x00050001;

/** `name` of /proc/self/status, as the script's own process has it. */
function status(box: Sandbox, names: readonly string[], inside: readonly Operation[]): string[] {
  const pattern = names.map((name) => `^${name}:`).join('\\|');
  return box
    .lines({ outside: mountProc, inside, script: `grep '${pattern}' /proc/self/status` })
    .map((line) => line.split('\t').slice(1).join(' ').trim());
}

test('capability sets become exactly what the plan says; those outside of the bounding set are lost', (t) => {
  const box = new Sandbox(t);
  const mask = 0xa80425fbn;
  const inside: Operation[] = [
    { op: 'bounding', mask },
    { op: 'capabilities', effective: mask, permitted: mask, inheritable: 0 },
    { op: 'ambient', mask: 0 },
  ];
  const hex = '00000000a80425fb';
  assert.deepEqual(status(box, ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'], inside), [
    '0000000000000000',
    hex,
    hex,
    hex,
    '0000000000000000',
  ]);
  const more: Operation = { op: 'capabilities', effective: 3, permitted: 1, inheritable: 0 };
  assert.equal(box.fails({ inside: [more] }, 'EPERM'), 'capabilities: capset: ');
});

test('ambient capabilities outlive the change of the user', (t) => {
  const box = new Sandbox(t);
  const mask = 1n << 10n;
  const inside: Operation[] = [
    { op: 'keepCapabilities', on: 1 },
    { op: 'groups', gids: new Uint8Array(new Uint32Array([7, 70_000]).buffer) },
    { op: 'gid', gid: 6 },
    { op: 'uid', uid: 5 },
    { op: 'keepCapabilities', on: 0 },
    { op: 'capabilities', effective: mask, permitted: mask, inheritable: mask },
    { op: 'ambient', mask },
  ];
  assert.deepEqual(status(box, ['Uid', 'Gid', 'Groups', 'CapEff', 'CapAmb'], inside), [
    '5 5 5 5',
    '6 6 6 6',
    '7 70000',
    '0000000000000400',
    '0000000000000400',
  ]);
  const ambient = { inside: [{ op: 'ambient', mask: 1 }] } satisfies Trial;
  assert.equal(box.fails(ambient, 'EPERM'), 'ambient: prctl: PR_CAP_AMBIENT_RAISE');
});

test('whoever has given up root cannot take on another identity', (t) => {
  const box = new Sandbox(t);
  const fallen: Operation[] = [{ op: 'uid', uid: 5 }];
  const tries: [Operation, string][] = [
    [{ op: 'uid', uid: 6 }, 'uid: setresuid: '],
    [{ op: 'gid', gid: 6 }, 'gid: setresgid: '],
    [{ op: 'groups', gids: new Uint8Array(4) }, 'groups: setgroups: '],
    [{ op: 'bounding', mask: 0 }, 'bounding: prctl: PR_CAPBSET_DROP'],
    [{ op: 'hostname', name: 'h' }, 'hostname: sethostname: h'],
    [{ op: 'domainname', name: 'd' }, 'domainname: setdomainname: d'],
    [{ op: 'rlimit', resource: 7, soft: 1 << 20, hard: (1 << 20) + 1 }, 'rlimit: prlimit: '],
  ];
  for (const [operation, text] of tries)
    assert.equal(box.fails({ inside: [...fallen, operation] }, 'EPERM'), text);
  const odd: Operation = { op: 'groups', gids: new Uint8Array(3) };
  assert.equal(box.fails({ inside: [odd] }, 'EINVAL'), 'groups: setgroups: ');
});

/** Classic BPF: system call `number` fails with EPERM, all others are allowed. */
function denying(number: number): Uint8Array {
  const words = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, SECCOMP_ERRNO_1],
    [0x06, 0, 0, 0x7fff0000],
  ];
  const bytes = Buffer.alloc(8 * words.length);
  for (const [i, [code = 0, yes = 0, no = 0, k = 0]] of words.entries()) {
    bytes.writeUInt16LE(code, 8 * i);
    bytes.writeUInt8(yes, 8 * i + 2);
    bytes.writeUInt8(no, 8 * i + 3);
    bytes.writeUInt32LE(k, 8 * i + 4);
  }
  return bytes;
}

test('the seccomp program holds for the program', { skip: process.arch !== 'x64' }, (t) => {
  const box = new Sandbox(t);
  const mkdir: Operation = { op: 'seccomp', flags: 0, program: denying(83) };
  const script = '/bin/busybox mkdir /x 2>&1; :';
  const text = box.output({ inside: [{ op: 'noNewPrivileges' }], script: 'true' });
  assert.equal(text, '');
  const said = box.output({ inside: [{ op: 'noNewPrivileges' }, mkdir], script });
  assert.match(said, /Operation not permitted/);
  const names = ['NoNewPrivs', 'Seccomp'];
  assert.deepEqual(status(box, names, [{ op: 'noNewPrivileges' }, mkdir]), ['1', '2']);
  const broken: [Uint8Array, string][] = [
    [new Uint8Array(7), 'EINVAL'],
    [new Uint8Array(0), 'EINVAL'],
    [Buffer.alloc(8, 0xff), 'EINVAL'],
    [Buffer.alloc(8 * 4097), 'EINVAL'],
  ];
  for (const [program, error] of broken) {
    assert.equal(box.fails({ inside: [{ op: 'seccomp', flags: 0, program }] }, error), 'seccomp: seccomp: ');
  }
});

test("a filter that forbids the execution is told as the execution's failure", {
  skip: process.arch !== 'x64',
}, (t) => {
  const box = new Sandbox(t);
  const execve: Operation = { op: 'seccomp', flags: 0, program: denying(59) };
  assert.equal(box.fails({ inside: [execve] }, 'EPERM'), 'execute: execve: /bin/sh');
});

test('limits, umask, scheduling, affinity, personality and names of the process', (t) => {
  const box = new Sandbox(t);
  const lines = box.lines({
    outside: mountProc,
    inside: [
      { op: 'rlimit', resource: 7, soft: 100, hard: 200 },
      { op: 'rlimit', resource: 4, soft: 0, hard: -1 },
      { op: 'umask', mask: 0o27 },
      { op: 'scheduler', policy: 3, nice: 5, priority: 0, flags: 0, runtime: 0, deadline: 0, period: 0 },
      { op: 'affinity', mask: new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]) },
      { op: 'personality', domain: 8 },
      { op: 'ioPriority', value: (2 << 13) | 7 },
      { op: 'hostname', name: 'hosty' },
      { op: 'domainname', name: 'domy' },
      { op: 'oomScore', value: 321 },
      { op: 'setSession' },
      { op: 'dumpable', on: 0 },
    ],
    script: `ulimit -n; ulimit -Hn; umask; grep ^policy /proc/self/sched; grep Cpus_allowed: /proc/self/status
      /bin/busybox uname -nm; cat /proc/sys/kernel/domainname /proc/self/oom_score_adj
      /bin/busybox ionice -p 1; /bin/busybox awk '{ print $6, $19 }' /proc/self/stat`,
  });
  assert.deepEqual(lines.slice(0, 3), ['100', '200', '0027']);
  assert.match(lines[3] ?? '', /3$/);
  assert.match(lines[4] ?? '', /\t0*1$/);
  assert.match(lines[5] ?? '', /^hosty i686|^hosty aarch64/);
  assert.deepEqual(lines.slice(6), ['domy', '321', 'best-effort: prio 7', '1 5']);
});

test('values that the kernel refuses are told by call', (t) => {
  const box = new Sandbox(t);
  const scheduler = { nice: 0, flags: 0, runtime: 0, deadline: 0, period: 0 };
  const cases: [Operation, string, string][] = [
    [{ op: 'rlimit', resource: 99, soft: 1, hard: 1 }, 'EINVAL', 'rlimit: prlimit: '],
    [{ op: 'scheduler', policy: 77, priority: 0, ...scheduler }, 'EINVAL', 'scheduler: sched_setattr: '],
    [{ op: 'affinity', mask: new Uint8Array(8) }, 'EINVAL', 'affinity: sched_setaffinity: '],
    [{ op: 'ioPriority', value: 7 << 13 }, 'EINVAL', 'ioPriority: ioprio_set: '],
    [{ op: 'hostname', name: 'h'.repeat(65) }, 'EINVAL', `hostname: sethostname: ${'h'.repeat(65)}`],
    [{ op: 'domainname', name: 'd'.repeat(65) }, 'EINVAL', `domainname: setdomainname: ${'d'.repeat(65)}`],
    [
      { op: 'stdio', in: 99, out: SLOT.out, err: SLOT.err, controlling: 0 },
      'EBADF',
      'stdio: slot: an empty slot',
    ],
    [{ op: 'stdio', in: 3, out: 4, err: 5, controlling: 1 }, 'ENOTTY', 'stdio: ioctl: TIOCSCTTY'],
  ];
  for (const [operation, error, text] of cases) {
    assert.equal(box.fails({ inside: [{ op: 'setSession' }, operation] }, error), text);
  }
  assert.equal(
    box.fails({ inside: [{ op: 'setSession' }, { op: 'setSession' }] }, 'EPERM'),
    'setSession: setsid: ',
  );
});

test('the OOM score goes to a true procfs only', (t) => {
  const box = new Sandbox(t);
  const score: Operation = { op: 'oomScore', value: 1 };
  const path = 'self/oom_score_adj';
  assert.equal(box.fails({ inside: [score] }, 'ENOENT'), 'oomScore: open: /proc');
  box.directoryAt('proc/self');
  box.file('proc/self/oom_score_adj', 'old');
  assert.equal(box.fails({ inside: [score] }, 'EPERM'), 'oomScore: file system: /proc');
  const most: Operation = { op: 'oomScore', value: -5000 };
  assert.equal(box.fails({ outside: mountProc, inside: [most] }, 'EINVAL'), `oomScore: write: ${path}`);
});

test("the session keyring is the plan's, searchable as it says", (t) => {
  const box = new Sandbox(t);
  const keyring = (permissions: number, name = `_ses.test${permissions}`): Operation => ({
    op: 'keyring',
    name,
    permissions,
  });
  const keys = (inside: readonly Operation[]): string =>
    box.output({ outside: mountProc, inside, script: 'grep _ses.test /proc/keys; :' });
  assert.match(keys([keyring(0x3f1b0000)]), /perm 3f1b0000 +0 +0 keyring +_ses\.test1058734080/);
  assert.match(keys([keyring(0x3f1b0000), keyring(0, '_ses.test1058734080')]), /perm 3f1b0000/);
  assert.match(keys([keyring(0x3f130008)]), /perm 3f130008/);
  assert.equal(box.fails({ inside: [keyring(0, '')] }, 'EINVAL'), 'keyring: keyctl_join: ');
});

test('signals begin as if nobody had touched them', (t) => {
  const box = new Sandbox(t);
  const last: Operation[] = [
    { op: 'resetSignals' },
    { op: 'findProgram', candidates: ['/bin/grep'] },
    { op: 'execute', arguments: ['grep', '^Sig[BI]', '/proc/self/status'], environment: [] },
  ];
  assert.deepEqual(box.lines({ outside: mountProc, last }), [
    'SigBlk:\t0000000000000000',
    'SigIgn:\t0000000000000000',
  ]);
});

test('the working directory is inside, or refused', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('in/side');
  box.link('way', '/in');
  const cwd = (path: string): Operation => ({ op: 'workingDirectory', path, attempt: 0 });
  assert.equal(box.output({ inside: [cwd('/way/side')], script: 'pwd -P' }), '/in/side\n');
  assert.equal(box.fails({ inside: [cwd('/none')] }, 'ENOENT'), 'workingDirectory: chdir: /none');
  assert.equal(
    box.fails({ inside: [cwd('/bin/busybox')] }, 'ENOTDIR'),
    'workingDirectory: chdir: /bin/busybox',
  );
});

test('a directory that only the user may enter is entered after the change of the user', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('home');
  box.output({ script: '/bin/busybox chown 5 /home; /bin/busybox chmod 700 /home' });
  const cwd = (attempt: number): Operation => ({ op: 'workingDirectory', path: '/home', attempt });
  const powerless: Operation[] = [
    { op: 'keepCapabilities', on: 1 },
    { op: 'capabilities', effective: 0, permitted: 0xc0, inheritable: 0 },
  ];
  const raise: Operation = { op: 'capabilities', effective: 0xc0, permitted: 0xc0, inheritable: 0 };
  const user: Operation[] = [raise, { op: 'uid', uid: 5 }];
  const inside = [...powerless, cwd(1), ...user, cwd(2)];
  assert.equal(box.output({ inside, script: 'pwd' }), '/home\n');
  assert.equal(
    box.fails({ inside: [...powerless, cwd(1), cwd(2)] }, 'EACCES'),
    'workingDirectory: chdir: /home',
  );
  assert.equal(box.fails({ inside: [...powerless, cwd(0)] }, 'EACCES'), 'workingDirectory: chdir: /home');
  const done = [
    cwd(1),
    { op: 'capabilities', effective: 0, permitted: 0, inheritable: 0 } as Operation,
    cwd(2),
  ];
  assert.equal(box.output({ inside: done, script: 'pwd' }), '/home\n');
});

/** A directory of the host, left open. */
const leak: Operation = {
  op: 'open',
  slot: SPARE,
  at: 0xffff,
  path: '/etc',
  flags: O_PATH,
  mode: 0,
  resolve: 0,
};

test('a descriptor of the host is no way out by the working directory', (t) => {
  const box = new Sandbox(t);
  for (let fd = 3; fd < 20; fd++) {
    const path = `/proc/self/fd/${fd}`;
    const { failure, stdout } = box.run({
      before: [leak],
      outside: mountProc,
      inside: [{ op: 'workingDirectory', path, attempt: 0 }],
      script: 'ls',
    });
    assert.ok(failure !== undefined || !stdout.includes('passwd'), path);
  }
});

test('a descriptor of the host is no way to a program', (t) => {
  const box = new Sandbox(t);
  const before: Operation[] = [
    { op: 'open', slot: SPARE, at: 0xffff, path: '/bin', flags: O_PATH, mode: 0, resolve: 0 },
    { op: 'open', slot: OTHER, at: 0xffff, path: '/bin/busybox', flags: O_PATH, mode: 0, resolve: 0 },
  ];
  for (let fd = 3; fd < 24; fd++) {
    for (const candidate of [`/proc/self/fd/${fd}`, `/proc/self/fd/${fd}/busybox`]) {
      const last: Operation[] = [
        { op: 'findProgram', candidates: [candidate] },
        { op: 'execute', arguments: ['echo', 'out'], environment: [] },
      ];
      const { failure } = box.run({ before, outside: mountProc, last });
      assert.ok(failure !== undefined, candidate);
    }
  }
  const script = box.file('script', '#!/proc/self/fd/7/busybox sh\n');
  chmodSync(script, 0o755);
  const last: Operation[] = [{ op: 'execute', arguments: ['/script'], environment: [] }];
  assert.ok(box.run({ before, outside: mountProc, last }).failure !== undefined);
});

test('the program finds no descriptor but its streams', (t) => {
  const box = new Sandbox(t);
  const lines = box.lines({ before: [leak], outside: mountProc, script: 'exec ls /proc/self/fd' });
  assert.deepEqual(lines, ['0', '1', '2', '3']); // 3: the directory that is listed
});

test("streams are dealt out from any slot, and become the user's", (t) => {
  const box = new Sandbox(t);
  box.file('said');
  const open: Operation = {
    op: 'open',
    slot: SPARE,
    at: ROOT,
    path: '/said',
    flags: 1,
    mode: 0,
    resolve: 0x12,
  };
  const inside: Operation[] = [
    open,
    { op: 'stdio', in: SLOT.err, out: SPARE, err: SLOT.out, controlling: 0 },
    { op: 'ownStdio', uid: 5 },
  ];
  assert.equal(box.output({ inside, script: 'echo to the file; echo to the pipe >&2' }), 'to the pipe\n');
  assert.equal(statSync(box.path('said')).uid, 5);
  assert.equal(statSync('/dev/null').uid, 0);
});

test("streams on the null device become the root's own; what only looks like it stays out", (t) => {
  const box = new Sandbox(t);
  const reopen: Operation = { op: 'reopenNull', root: ROOT, path: '/dev/null' };
  const script = 'readlink /proc/self/fd/0; stat -L -c %d /proc/self/fd/0 /dev/null';
  const good = [...mountProc, ...mountDev, node('/dev/null', 1, 3)];
  const [name, stream, device] = box.lines({ outside: good, inside: [reopen], script });
  assert.deepEqual([name, stream], ['/dev/null', device]);
  const foul = [...mountProc, ...mountDev, node('/dev/null', 1, 5)];
  const lines = box.lines({ outside: foul, inside: [reopen], script });
  assert.notEqual(lines[1], lines[2]);
  const missing: Operation = { op: 'reopenNull', root: 99, path: '/dev/null' };
  assert.equal(box.fails({ inside: [missing] }, 'EBADF'), 'reopenNull: slot: an empty slot');
});

test('lo comes up in a network namespace of its own', (t) => {
  const box = new Sandbox(t);
  const flags = CLONE.mount | CLONE.network;
  const script = '/bin/busybox ip -o link show lo';
  assert.match(box.output({ flags, inside: [{ op: 'loopbackUp' }], script }), /LOOPBACK,UP/);
  const fallen: Operation[] = [{ op: 'uid', uid: 5 }, { op: 'loopbackUp' }];
  assert.equal(box.fails({ flags, inside: fallen }, 'EPERM'), 'loopbackUp: ioctl: lo');
});

test('a user namespace shifts the owners of a mount', (t) => {
  const box = new Sandbox(t);
  box.file('owned');
  const namespace: Operation = { op: 'userNamespace', slot: OTHER, uidMap: '0 5000 10', gidMap: '0 6000 10' };
  const tree: Operation = { op: 'openTree', slot: SPARE, at: ROOT, path: '/bin', recursive: 0 };
  const shift: Operation = {
    op: 'setMountAttributes',
    at: SPARE,
    path: '',
    set: 0x100000,
    clear: 0,
    propagation: 0,
    recursive: 0,
    userns: OTHER,
  };
  const attach: Operation = { op: 'attach', slot: SPARE, root: ROOT, path: '/shifted' };
  const trial: Trial = {
    before: [namespace],
    outside: [tree, shift, attach],
    script: 'stat -c %u:%g /shifted/busybox',
  };
  assert.equal(box.output(trial), '5000:6000\n');
  const bad: Operation = { op: 'userNamespace', slot: OTHER, uidMap: '0 0', gidMap: '0 0 1' };
  assert.equal(box.fails({ before: [bad] }, 'EINVAL'), 'userNamespace: write: uid_map');
});

test('the current root is what / is', (t) => {
  const box = new Sandbox(t);
  const inside: Operation[] = [
    { op: 'currentRoot', slot: SPARE },
    { op: 'makePath', root: SPARE, path: '/by/current' },
  ];
  assert.equal(box.output({ inside, script: 'ls /by' }), 'current\n');
});

function find(...candidates: string[]): Operation[] {
  return [
    { op: 'findProgram', candidates },
    { op: 'execute', arguments: ['program', 'one', 'two'], environment: ['A=1', 'B='] },
  ];
}

test('the first candidate that may be executed is, with its arguments and environment', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('bin/dir');
  box.file('bin/plain', 'x');
  box.file('bin/broken', 'x');
  box.output({ script: '/bin/busybox chmod 755 /bin/broken; echo "exec cat /proc/self/environ" >/bin/try' });
  box.output({ script: '/bin/busybox chmod 755 /bin/try' });
  const shell: Operation[] = [
    { op: 'findProgram', candidates: ['/none/sh', '/bin/dir', '/bin/plain', '/bin/sh'] },
    {
      op: 'execute',
      arguments: ['sh', '-c', '/bin/busybox env; echo $0 $1', 'x', 'y'],
      environment: ['A=1', 'B='],
    },
  ];
  const lines = box.lines({ last: shell });
  assert.ok(
    ['A=1', 'B=', 'x y'].every((line) => lines.includes(line)),
    lines.join(),
  );
  const cases: [string[], string, string][] = [
    [['/none'], 'ENOENT', 'findProgram: execve: /none'],
    [['/bin/plain'], 'EACCES', 'findProgram: execve: /bin/plain'],
    [['/none', '/bin/plain', '/none/2'], 'EACCES', 'findProgram: execve: /bin/plain'],
    [['/bin/dir'], 'EISDIR', 'findProgram: execve: /bin/dir'],
    [['/bin/sh/x'], 'ENOTDIR', 'findProgram: execve: /bin/sh/x'],
    [[], 'ENOENT', 'findProgram: execve: '],
    [['/bin/broken'], 'ENOEXEC', 'execute: execve: /bin/broken'],
  ];
  for (const [candidates, error, text] of cases)
    assert.equal(box.fails({ last: find(...candidates) }, error), text);
});

test('who may not execute the program is told so before', (t) => {
  const box = new Sandbox(t);
  box.file('bin/private', 'x');
  box.output({ script: '/bin/busybox chmod 700 /bin/private' });
  const inside: Operation[] = [{ op: 'uid', uid: 5 }];
  assert.equal(
    box.fails({ inside, last: find('/bin/private') }, 'EACCES'),
    'findProgram: execve: /bin/private',
  );
});
