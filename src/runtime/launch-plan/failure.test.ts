import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LaunchFailure, launchFailureText } from './failure.ts';
import { objectOf } from './failure-object.ts';
import { type FieldKind, type LaunchPlan, type Operation, OPERATIONS } from './operations.ts';

const START = 'unable to start container process: ';
const INIT = `${START}error during container init: `;
const ENOENT = 2;
const EACCES = 13;
const ENOTDIR = 20;
const EISDIR = 21;
const EINVAL = 22;

const NOTHING = { code: 1, status: 0, step: 'call', object: '' };

function childFailure(
  operation: Operation,
  failure: Partial<LaunchFailure> & { errno: number },
  more: readonly Operation[] = [],
): [LaunchPlan, LaunchFailure] {
  const plan = { before: [], parent: [], child: [operation, ...more] };
  return [plan, { ...NOTHING, list: 'child', index: 0, ...failure }];
}

function program(command: string, errno: number, candidates = [command]): [LaunchPlan, LaunchFailure] {
  const find: Operation = { op: 'findProgram', candidates, from: 'process.args[0]' };
  const execute: Operation = { op: 'execute', arguments: [command], environment: [] };
  return childFailure(find, { errno }, [execute]);
}

test('a command that cannot be run is told as the reference tells it', () => {
  const cases: [string, number, string][] = [
    ['nosuchcmd', ENOENT, 'exec: "nosuchcmd": executable file not found in $PATH'],
    ['nosuchcmd', EACCES, 'exec: "nosuchcmd": executable file not found in $PATH'],
    ['/no/such', ENOENT, 'exec: "/no/such": stat /no/such: no such file or directory'],
    ['/etc/passwd', EACCES, 'exec: "/etc/passwd": permission denied'],
    ['/tmp', EISDIR, 'exec: "/tmp": is a directory: permission denied'],
  ];
  for (const [command, errno, expected] of cases) {
    assert.equal(launchFailureText(...program(command, errno), 'create'), INIT + expected);
    assert.equal(launchFailureText(...program(command, errno), 'exec'), START + expected);
  }
});

test('what goes wrong inside of the container is told with its place', () => {
  const cases: [Operation, Partial<LaunchFailure> & { errno: number }, string][] = [
    [{ op: 'hostname', name: 'x' }, { errno: EINVAL }, 'sethostname: invalid argument'],
    [
      { op: 'workingDirectory', path: '/nosuch', attempt: 2 },
      { errno: ENOENT },
      'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory',
    ],
    [
      {
        op: 'open',
        slot: 9,
        at: 0,
        path: '/dev/null',
        flags: 0,
        mode: 0,
        resolve: 0,
        from: 'linux.maskedPaths',
      },
      { errno: ENOENT },
      "can't mask paths: open /dev/null: no such file or directory",
    ],
    [
      { op: 'writeProc', proc: 9, path: 'sys/net/ipv4/x', value: Buffer.from('1') },
      { errno: EINVAL, step: 'write' },
      'write /proc/sys/net/ipv4/x: invalid argument',
    ],
    [
      { op: 'writeProcSelf', proc: 9, name: 'attr/apparmor/exec', value: Buffer.from('exec x') },
      { errno: ENOENT },
      'unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory',
    ],
    [
      { op: 'makeNode', root: 0, path: '/dev/x', mode: 0, major: 1, minor: 1, uid: 0, gid: 0 },
      { errno: ENOTDIR },
      'error creating device nodes: mknod /dev/x: not a directory',
    ],
    [
      { op: 'attach', slot: 9, root: 0, path: '/etc/passwd', from: 'mounts[0]' },
      { errno: ENOTDIR, step: 'move_mount', object: '/etc/passwd' },
      'error mounting "" to rootfs at "/etc/passwd": mount src=, dst=/etc/passwd: not a directory',
    ],
    [{ op: 'loopbackUp', from: 'linux.namespaces' }, { errno: 999 }, 'linux.namespaces: call lo: errno 999'],
  ];
  for (const [operation, failure, expected] of cases) {
    assert.equal(launchFailureText(...childFailure(operation, failure), 'create'), INIT + expected);
  }
});

test('a target whose links lead in a circle is told with its member of the spec', () => {
  const attach: Operation = { op: 'attach', slot: 9, root: 0, path: '/loop/x', from: 'mounts[3]' };
  assert.equal(
    launchFailureText(...childFailure(attach, { errno: 40, step: 'openat2', object: '/loop/x' }), 'create'),
    `${INIT}mounts[3].destination: error mounting "" to rootfs at "/loop/x": mount src=, dst=/loop/x: too many levels of symbolic links`,
  );
});

test('what is no path has its object from the operation: step, object and errno are always there', () => {
  const cases: [Operation, string, string][] = [
    [{ op: 'setSession' }, 'setsid', 'setsid a session: operation not permitted'],
    [
      { op: 'groups', gids: Uint8Array.from([5, 0, 0, 0, 1, 1, 0, 0]), from: 'process.user.additionalGids' },
      'setgroups',
      'unable to setup user: setgroups [5 257]: operation not permitted',
    ],
    [{ op: 'gid', gid: 7 }, 'setresgid', 'unable to setup user: setresgid 7: operation not permitted'],
    [{ op: 'uid', uid: 8 }, 'setresuid', 'unable to setup user: setresuid 8: operation not permitted'],
    [
      { op: 'capabilities', effective: 1, permitted: 2n, inheritable: 0 },
      'capset',
      'unable to apply caps: capset effective 0x1 permitted 0x2 inheritable 0x0: operation not permitted',
    ],
    [
      { op: 'seccomp', flags: 0, program: new Uint8Array(16) },
      'seccomp',
      'unable to init seccomp: error loading seccomp filter into kernel: seccomp 2 instructions: operation not permitted',
    ],
    [
      { op: 'stdio', in: 3, out: 4, err: 5, controlling: 0 },
      'dup2',
      'dup2 slots 3, 4, 5: operation not permitted',
    ],
    [
      { op: 'joinNamespace', slot: 2, flags: 0x20020000 },
      'setns',
      'failed to setns into the container (pid,mount): operation not permitted',
    ],
    [
      { op: 'unshare', flags: 0x2000000, from: 'linux.namespaces' },
      'unshare',
      'linux.namespaces: unshare cgroup: operation not permitted',
    ],
    [
      { op: 'cloneAgain', flags: 0x60000000, from: 'linux.namespaces' },
      'clone3',
      'linux.namespaces: clone3 pid,network: operation not permitted',
    ],
    [
      { op: 'pivot', root: 0, from: 'root.path' },
      'pivot_root',
      'error jailing process inside rootfs: pivot_root the root: operation not permitted',
    ],
    [
      { op: 'scheduler', policy: 1, nice: 0, priority: 5, flags: 0, runtime: 0, deadline: 0, period: 0 },
      'sched_setattr',
      'sched_setattr policy 1 priority 5 nice 0: operation not permitted',
    ],
  ];
  for (const [operation, step, expected] of cases) {
    assert.equal(
      launchFailureText(...childFailure(operation, { errno: 1, step }), 'create'),
      INIT + expected,
    );
  }
});

test('every operation has an object', () => {
  for (const [op, { fields }] of Object.entries<{ fields: Readonly<Record<string, FieldKind>> }>(
    OPERATIONS,
  )) {
    const empty = { number: 1, slot: 1, newSlot: 1, text: 'x', bytes: new Uint8Array(8), list: ['x'] };
    const values = Object.entries(fields).map(([name, kind]) => [name, empty[kind]]);
    const operation = { op, ...Object.fromEntries(values) } as unknown as Operation;
    assert.notEqual(objectOf(operation), '', op);
    const plan: LaunchPlan = { before: [], parent: [], child: [operation] };
    const failure = { ...NOTHING, list: 'child', index: 0, errno: 1 };
    assert.match(launchFailureText(plan, failure, 'create'), /\S/);
  }
});

test('a failed mount names its source, whatever step it failed at', () => {
  const open: Operation = {
    op: 'openTree',
    slot: 9,
    at: 0xffff,
    path: '/a',
    recursive: 1,
    from: 'mounts[0]',
  };
  const attach: Operation = { op: 'attach', slot: 9, root: 0, path: '/b', from: 'mounts[0]' };
  const plan: LaunchPlan = { before: [open], parent: [], child: [attach] };
  const failure = { ...NOTHING, index: 0 };
  assert.equal(
    launchFailureText(plan, { ...failure, list: 'before', errno: ENOENT, object: '/a' }, 'create'),
    `${INIT}error mounting "/a" to rootfs at "/b": stat /a: no such file or directory`,
  );
  assert.equal(
    launchFailureText(plan, { ...failure, list: 'child', errno: ENOTDIR, step: 'move_mount' }, 'create'),
    `${INIT}error mounting "/a" to rootfs at "/b": mount src=/a, dst=/b: not a directory`,
  );
});

test('hooks, limits and cgroups fail outside of the container', () => {
  const parent: Operation[] = [
    {
      op: 'hook',
      path: '/h',
      arguments: [],
      environment: [],
      timeoutMs: 0,
      beforePid: Buffer.alloc(0),
      afterPid: Buffer.alloc(0),
      from: 'hooks.createRuntime[1]',
    },
    { op: 'rlimit', resource: 7, soft: 1, hard: 1 },
    { op: 'waitExecuted' },
    { op: 'makeDirectory', path: '/c', mode: 0, from: 'linux.cgroupsPath' },
    { op: 'writeFile', at: 9, path: 'pids.max', value: Buffer.from('x'), from: 'linux.resources.pids.limit' },
  ];
  const before: Operation[] = [{ op: 'openTree', slot: 9, at: 0xffff, path: '/cgroup', recursive: 0 }];
  const plan: LaunchPlan = { before, parent, child: [] };
  const texts = [
    [
      { status: 256, errno: 0 },
      'error during container init: error running createRuntime hook #1: exit status 1, stdout: , stderr: ',
    ],
    [{ errno: 1 }, 'error setting rlimit type 7: operation not permitted'],
    [
      { errno: 10, step: 'sync', object: 'child' },
      'container init was killed before it could run the program',
    ],
    [{ errno: 28, object: '/c' }, 'unable to apply cgroup configuration: mkdir /c: no space left on device'],
    [
      { errno: EINVAL },
      'error setting cgroup config for procHooks process: failed to write "x": write /cgroup/pids.max: invalid argument',
    ],
  ] as const;
  for (const [index, [failure, expected]] of texts.entries()) {
    const reported = { ...NOTHING, list: 'parent', index, ...failure };
    assert.equal(launchFailureText(plan, reported, 'create'), START + expected);
  }
});

test('a report that does not fit the plan is told as it is', () => {
  const plan: LaunchPlan = { before: [], parent: [], child: [] };
  const failure = { ...NOTHING, list: 'moon', index: 3, errno: ENOENT, object: '/x' };
  assert.equal(launchFailureText(plan, failure, 'exec'), `${START}call /x: no such file or directory`);
});
