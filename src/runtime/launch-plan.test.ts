import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import type { CgroupLayout } from '#host/kernel.ts';
import type { RuntimeSpec, SpecLinux, SpecMount, SpecNamespace, SpecProcess } from '#oci/runtime-spec.ts';
import { buildExecPlan, buildLaunchPlan, type LaunchContext } from './launch-plan.ts';
import type { LaunchPlan, Operation, OperationName } from './launch-plan/operations.ts';

const V1: CgroupLayout = {
  version: 'v1',
  hierarchies: [{ version: 1, mountPoint: '/sys/fs/cgroup/pids', controllers: ['pids'] }],
};
const V2: CgroupLayout = {
  version: 'v2',
  hierarchies: [{ version: 2, mountPoint: '/sys/fs/cgroup', controllers: ['memory'] }],
};
const CONTEXT: LaunchContext = {
  id: 'c1',
  cgroups: V1,
  apparmor: true,
  selinux: false,
  root: { path: '/bundle/rootfs' },
  bundle: '/bundle',
  devices: { writes: [] },
  oomScoreAdj: 3,
};
const PROCESS: SpecProcess = {
  user: { uid: 0, gid: 0 },
  args: ['true'],
  cwd: '/',
  env: ['PATH=/bin:.:/usr/bin/'],
};
const NAMESPACES: SpecNamespace[] = [{ type: 'mount' }, { type: 'pid' }, { type: 'uts' }, { type: 'ipc' }];

interface Change {
  readonly process?: Partial<SpecProcess>;
  readonly linux?: Partial<SpecLinux>;
  readonly mounts?: SpecMount[];
  readonly more?: Partial<RuntimeSpec>;
}

function specWith({ process, linux, mounts, more }: Change): RuntimeSpec {
  return {
    ociVersion: '1.2.1',
    process: { ...PROCESS, ...process },
    root: { path: 'rootfs' },
    linux: { namespaces: NAMESPACES, ...linux },
    ...(mounts === undefined ? {} : { mounts }),
    ...more,
  };
}

function planWith(change: Change, context: Partial<LaunchContext> = {}): LaunchPlan {
  return buildLaunchPlan(specWith(change), { ...CONTEXT, ...context });
}

type Of<Op extends OperationName> = Extract<Operation, { readonly op: Op }>;

function only<Op extends OperationName>(list: readonly Operation[], op: Op): Of<Op>[] {
  return list.filter((each): each is Of<Op> => each.op === op);
}

const bind = (destination: string, ...options: string[]): SpecMount => ({
  destination,
  source: '/src',
  type: 'bind',
  options: ['rbind', ...options],
});

describe('what is refused before anything is made, by its path', () => {
  const REFUSED: readonly (readonly [Change, string])[] = [
    [{ mounts: [bind('/a/../../b')] }, 'mounts[0].destination: "/a/../../b" leads out of the root'],
    [{ mounts: [bind('/a/..')] }, 'mounts[0].destination: the root cannot be mounted over'],
    [{ mounts: [bind('')] }, 'mounts[0].destination: missing'],
    [{ mounts: [bind(`/${'x'.repeat(4096)}`)] }, 'mounts[0].destination: longer than 4095 bytes'],
    [
      { mounts: [bind('/proc/self')] },
      'mounts[0].destination: "/proc/self" cannot be mounted because it is inside /proc',
    ],
    [
      { mounts: [bind('/proc')] },
      'mounts[0].destination: "/proc" cannot be mounted because it is not of type proc',
    ],
    [
      { mounts: [bind('/a', 'size=1m')] },
      'mounts[0].options: bind mounts cannot have any filesystem-specific options applied',
    ],
    [{ mounts: [{ destination: '/a', type: 'bind', options: ['bind'] }] }, 'mounts[0].source: missing'],
    [{ mounts: [{ destination: '/a', source: 'x' }] }, 'mounts[0].type: missing'],
    [
      { mounts: [bind('/a', 'idmap')] },
      'mounts[0]: an idmapped mount needs uidMappings and gidMappings, or a user namespace',
    ],
    [{ linux: { namespaces: [{ type: 'pid' }] } }, 'linux.namespaces: a mount namespace is needed'],
    [
      { linux: { namespaces: [...NAMESPACES, { type: 'pid' }] } },
      'linux.namespaces[4].type: malformed spec file: duplicated ns "pid"',
    ],
    [
      { linux: { namespaces: [...NAMESPACES, { type: 'user' }] } },
      'linux.uidMappings: missing for a new user namespace',
    ],
    [
      { linux: { namespaces: [{ type: 'mount' }] }, more: { hostname: 'x' } },
      'hostname: unable to set hostname without a private UTS namespace',
    ],
    [{ linux: { rootfsPropagation: 'x' } }, 'linux.rootfsPropagation: "x" is not supported'],
    [
      { linux: { sysctl: { 'net.ipv4.ip_forward': '1' } } },
      'linux.sysctl["net.ipv4.ip_forward"]: sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    ],
    [
      { linux: { sysctl: { 'kernel/hostname': 'x' } } },
      'linux.sysctl["kernel/hostname"]: sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
    ],
    [
      { linux: { sysctl: { 'vm.swappiness': '1' } } },
      'linux.sysctl["vm.swappiness"]: sysctl "vm.swappiness" is not in a separate kernel namespace',
    ],
    [{ linux: { sysctl: { 'fs.mqueue./..x': '1' } } }, 'linux.sysctl["fs.mqueue./..x"]: no name of a sysctl'],
    [
      { process: { capabilities: { effective: ['CAP_X'] } } },
      'process.capabilities.effective[0]: unknown capability "CAP_X"',
    ],
    [
      { process: { rlimits: [{ type: 'RLIMIT_X', soft: 1, hard: 1 }] } },
      'process.rlimits[0].type: invalid rlimit type: RLIMIT_X',
    ],
    [
      { process: { rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }] } },
      'process.rlimits[0].soft: 2 is more than the hard limit, 1',
    ],
    [
      { process: { ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 8 } } },
      'process.ioPriority.priority: 8 is not 0-7',
    ],
    [{ process: { scheduler: { policy: 'X' } } }, 'process.scheduler.policy: unknown policy "X"'],
    [{ process: { env: ['=x'] } }, 'process.env[0]: invalid environment variable: name cannot be empty'],
    [
      { process: { selinuxLabel: 'x' } },
      'process.selinuxLabel: selinux label is specified in config, but selinux is disabled or not supported',
    ],
    [
      { linux: { resources: { unified: { 'memory.max': '1' } } } },
      'linux.resources.unified: cannot be used on a host with cgroup v1',
    ],
    [
      { linux: { resources: { memory: { swappiness: 200 } } } },
      'linux.resources.memory.swappiness: invalid value: 200, valid memory swappiness range is 0-100',
    ],
    [
      { linux: { devices: [{ path: '/dev/x', type: 'c', major: 1, minor: 2 ** 21 }] } },
      'linux.devices[0].minor: 2097152 is out of range',
    ],
    [{ linux: { cgroupsPath: '/../x' } }, 'linux.cgroupsPath: "/../x" leads out of the root'],
    [{ linux: { personality: { domain: 'X' } } }, 'linux.personality.domain: invalid personality domain X'],
    [{ more: { hooks: { prestart: [{ path: 'x' }] } } }, 'hooks.prestart[0].path: "x" is not absolute'],
    [
      { mounts: Array.from({ length: 1100 }, (_, i) => bind(`/m${i}`)) },
      'mounts[1014]: needs more than 1024 open files',
    ],
  ];
  for (const [change, expected] of REFUSED) {
    test(expected.slice(0, 100), () => {
      assert.throws(
        () => planWith(change),
        (error) => {
          assert.ok(isEngineError(error, 'invalidArgument'), String(error));
          assert.equal(error.message, expected);
          return true;
        },
      );
    });
  }

  test('a spec without what cannot be left out', () => {
    const { process: _process, ...noProcess } = specWith({});
    assert.throws(() => buildLaunchPlan(noProcess, CONTEXT), /process: missing/);
    const { root: _root, ...noRoot } = specWith({});
    assert.throws(() => buildLaunchPlan(noRoot, CONTEXT), /root: must be specified/);
  });
});

test('the environment: the last entry of a name counts, HOME is there, the command is looked for in it', () => {
  const env = ['A=1', 'PATH=/bin:.:/usr/bin/', 'A=2', 'HOME='];
  const plan = planWith({ process: { env } }, { home: '/root' });
  assert.deepEqual(only(plan.child, 'execute')[0]?.environment, [
    'PATH=/bin:.:/usr/bin/',
    'A=2',
    'HOME=/root',
  ]);
  assert.deepEqual(only(plan.child, 'findProgram')[0]?.candidates, ['/bin/true', '/usr/bin/true']);
  const path = planWith({ process: { args: ['./x'], env: ['HOME=/h'] } });
  assert.deepEqual(only(path.child, 'findProgram')[0]?.candidates, ['./x']);
  assert.deepEqual(only(path.child, 'execute')[0]?.environment, ['HOME=/h']);
});

test('without no_new_privs seccomp comes before the capabilities go, with it last', () => {
  const seccomp = { flags: 0, program: new Uint8Array(8) };
  const order = (noNewPrivileges: boolean): OperationName[] =>
    planWith({ process: { noNewPrivileges } }, { seccomp }).child.map(({ op }) => op);
  const [privileged, free] = [order(false), order(true)];
  assert.ok(privileged.indexOf('seccomp') < privileged.indexOf('bounding'));
  assert.ok(free.indexOf('noNewPrivileges') < free.indexOf('bounding'));
  assert.ok(free.indexOf('seccomp') > free.indexOf('findProgram'));
});

test('a process enters its cgroup before the cgroup namespace is made, root of a user namespace makes the rest', () => {
  const namespaces = [...NAMESPACES, { type: 'cgroup' as const }, { type: 'user' as const }];
  const mapping = [{ containerID: 0, hostID: 1000, size: 10 }];
  const plan = planWith({ linux: { namespaces, uidMappings: mapping, gidMappings: mapping } });
  const order = plan.child.map(({ op }) => op);
  const places = ['writeFile', 'wait', 'uid', 'cloneAgain', 'unshare', 'attachRoot'] as const;
  const found = places.map((op) => order.indexOf(op));
  assert.deepEqual(
    found,
    [...found].sort((a, b) => a - b),
  );
  assert.ok(!found.includes(-1));
  assert.deepEqual(only(plan.before, 'clone')[0]?.flags, 0x10000000);
});

test('labels go through a procfs of the plan alone', () => {
  const plan = planWith({ process: { apparmorProfile: 'docker-default' } });
  const [label] = only(plan.child, 'writeProcSelf');
  assert.equal(label?.name, 'attr/apparmor/exec');
  assert.equal(Buffer.from(label?.value ?? []).toString(), 'exec docker-default');
  const attached = only(plan.child, 'attach').map(({ slot }) => slot);
  assert.ok(label !== undefined && !attached.includes(label.proc));
});

test('a bind gets the attributes that it names, and loses the others', () => {
  const plan = planWith({ mounts: [bind('/a', 'ro', 'rprivate'), bind('/b', 'rro', 'noatime')] });
  const changes = only(plan.before, 'setMountAttributes').filter(({ from }) => from?.startsWith('mounts['));
  const words = changes.map(({ from, set, clear, propagation, recursive }) => ({
    from,
    set,
    clear,
    propagation,
    recursive,
  }));
  assert.deepEqual(words, [
    { from: 'mounts[0]', set: 1, clear: 0x20000e, propagation: 0, recursive: 0 },
    { from: 'mounts[0]', set: 0, clear: 0, propagation: 0x40000, recursive: 1 },
    { from: 'mounts[1]', set: 0, clear: 0, propagation: 0x80000, recursive: 1 },
    { from: 'mounts[1]', set: 0x10, clear: 0x20007f, propagation: 0, recursive: 0 },
    { from: 'mounts[1]', set: 1, clear: 0, propagation: 0, recursive: 1 },
  ]);
});

test('what a container may write on v2 goes to its user, who is somebody on the host', () => {
  const namespaces = [...NAMESPACES, { type: 'cgroup' as const }, { type: 'user' as const }];
  const mapping = [{ containerID: 0, hostID: 1000, size: 10 }];
  const linux = { namespaces, uidMappings: mapping, gidMappings: mapping };
  const mounts = [{ destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' }];
  const context = { cgroups: V2, devices: { program: new Uint8Array(8) } };
  const owned = only(planWith({ linux, mounts }, context).before, 'changeOwner');
  assert.deepEqual(
    owned.map(({ path, uid }) => [path, uid]),
    ['', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads', 'memory.oom.group'].map((path) => [
      path,
      1000,
    ]),
  );
  const readonly = mounts.map((mount) => ({ ...mount, options: ['ro'] }));
  assert.deepEqual(only(planWith({ linux, mounts: readonly }, context).before, 'changeOwner'), []);
});

test('controllers that are enabled are left alone', () => {
  const context = { cgroups: V2, devices: { program: new Uint8Array(8) } };
  const linux = { cgroupsPath: '/docker/c1' };
  const written = (enabledControllers: Record<string, string[]>): string[] =>
    only(planWith({ linux }, { ...context, enabledControllers }).before, 'writeFile').map(({ path }) => path);
  const [top, docker] = ['/sys/fs/cgroup', '/sys/fs/cgroup/docker'].map(
    (path) => `${path}/cgroup.subtree_control`,
  );
  assert.deepEqual(written({}), [top, docker]);
  assert.deepEqual(written({ '/': ['cpu', 'memory'] }), [docker]);
  assert.deepEqual(written({ '/': ['memory'], '/docker': ['memory'] }), []);
});

test('an exec may be born in the cgroup of init, and its CPUs change when it is in its own', () => {
  const process = { ...PROCESS, execCPUAffinity: { initial: '0', final: '1-2,9' } };
  const target = { namespaces: ['mount', 'pid'], cgroupsPath: '/c1' };
  const context = { id: 'c1', apparmor: false, selinux: false, oomScoreAdj: 0 };
  const plan = buildExecPlan(process, target, { ...context, cgroups: V2, initCgroup: '/c1/init.scope' });
  assert.deepEqual(
    only(plan.before, 'open').map(({ path }) => path),
    ['/sys/fs/cgroup/c1/init.scope'],
  );
  assert.deepEqual([...(only(plan.before, 'affinity')[0]?.mask ?? [])], [1, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...(only(plan.child, 'affinity')[0]?.mask ?? [])], [6, 2, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(
    [...only(plan.before, 'joinNamespace'), ...only(plan.child, 'joinNamespace')].map(({ flags }) => flags),
    [0x20020000],
  );
  const bad = { ...PROCESS, execCPUAffinity: { initial: '3-1' } };
  assert.throws(() => buildExecPlan(bad, target, { ...context, cgroups: V2 }), /is no list of CPUs/);
});

describe('a network that is connected while the launch is at work', () => {
  const order = (change: Change): (OperationName | 'ready')[] =>
    planWith(change, { netnsGiven: true, networkLater: true }).child.flatMap((each) =>
      each.op === 'waitStart'
        ? ['ready' as const]
        : ['writeProc', 'capabilities'].includes(each.op)
          ? [each.op]
          : [],
    );

  test('is waited for last, but before the credentials', () => {
    assert.deepEqual(order({}).slice(0, 2), ['ready', 'capabilities']);
  });

  test('is waited for before settings of it', () => {
    const linux = {
      namespaces: [...NAMESPACES, { type: 'network' as const }],
      sysctl: { 'net.ipv4.ip_forward': '1' },
    };
    assert.deepEqual(order({ linux }).slice(0, 3), ['ready', 'writeProc', 'capabilities']);
  });

  test('is not waited for where it is there', () => {
    const { child } = planWith({}, { netnsGiven: true });
    assert.ok(!child.some(({ op }) => op === 'waitStart'));
  });
});
