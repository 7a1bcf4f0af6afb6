/**
 * The plans of all recorded specs, compared line by line. With GANTRY_WRITE_PLANS=1 the files are written
 * anew: what changed is then for a reader of the difference to judge.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { CgroupHierarchy, CgroupLayout } from '#host/kernel.ts';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { deviceWrites } from '../device-rules.ts';
import { buildLaunchPlan } from '../launch-plan.ts';
import type { LaunchContext } from './context.ts';
import { encodeLaunchPlan } from './encode.ts';
import { buildExecPlan } from './exec.ts';
import { type LaunchPlan, LISTS, type Operation } from './operations.ts';

const REFERENCE = new URL('../../../test/reference/', import.meta.url);
const WRITES = process.env['GANTRY_WRITE_PLANS'] === '1';
const MAX_TEXT = 160;

const recorded = JSON.parse(readFileSync(new URL('oci-config-goldens.json', REFERENCE), 'utf8')) as Record<
  string,
  { readonly config?: RuntimeSpec }
>;

const top = '/sys/fs/cgroup';
const v1 = (name: string, controllers = name.split(',')): CgroupHierarchy => ({
  version: 1,
  mountPoint: `${top}/${name}`,
  controllers,
});
const HYBRID: CgroupLayout = {
  version: 'hybrid',
  hierarchies: [
    ...['cpu,cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids'].map((name) => v1(name)),
    v1('systemd', ['name=systemd']),
    { version: 2, mountPoint: `${top}/unified`, controllers: [] },
  ],
};
const UNIFIED: CgroupLayout = {
  version: 'v2',
  hierarchies: [{ version: 2, mountPoint: top, controllers: ['cpuset', 'cpu', 'io', 'memory', 'pids'] }],
};

/** Compiled filters and programs have tests of their own. */
const FILTER = { flags: 4, program: Uint8Array.from([6, 0, 0, 0, 0, 0, 255, 127]) };

function contextFor(spec: RuntimeSpec, cgroups: CgroupLayout): LaunchContext {
  const rules = spec.linux?.resources?.devices ?? [];
  return {
    id: '<id64>',
    cgroups,
    apparmor: false,
    selinux: false,
    root: { slot: true, at: '/run/task/rootfs' },
    netnsGiven: true,
    bundle: '/run/task',
    devices: cgroups.version === 'v2' ? { program: FILTER.program } : { writes: deviceWrites(rules) },
    oomScoreAdj: 0,
    home: '/root',
    ...(spec.linux?.seccomp === undefined ? {} : { seccomp: FILTER }),
  };
}

function valueText(name: string, value: unknown): string {
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value).toString();
    return /^[\n\x20-\x7e]*$/.test(text) && name !== 'gids'
      ? JSON.stringify(text)
      : `<${Buffer.from(value).toString('hex')}>`;
  }
  if (typeof value === 'number' || typeof value === 'bigint') {
    const hex = ['flags', 'attributes', 'set', 'clear', 'propagation', 'mask', 'magic'].includes(name);
    return hex && value >= 10 ? `0x${value.toString(16)}` : String(value);
  }
  return JSON.stringify(value).slice(0, MAX_TEXT);
}

function line(operation: Operation): string {
  const { op, from, ignore, ...fields } = operation;
  const values = Object.entries(fields).map(([name, value]) => `${name}=${valueText(name, value)}`);
  const ignored = ignore === undefined ? [] : [`ignore=${ignore.join(',')}`];
  return [op, ...values, ...ignored, ...(from === undefined ? [] : [`(${from})`])].join(' ');
}

function render(plan: LaunchPlan): string {
  const text = LISTS.map((list) => `${list}\n${plan[list].map((each) => `  ${line(each)}\n`).join('')}`);
  return text.join('');
}

function compare(name: string, plan: LaunchPlan): void {
  const file = new URL(`launch-plans/${name}.txt`, REFERENCE);
  const text = render(plan);
  if (WRITES) writeFileSync(file, text);
  assert.equal(text, readFileSync(file, 'utf8'));
}

const specs = Object.entries(recorded).flatMap(([name, { config }]) =>
  config === undefined ? [] : [{ name, config }],
);

for (const { name, config } of specs) {
  test(`the plan of ${name}`, () => {
    compare(name, buildLaunchPlan(config, contextFor(config, HYBRID)));
  });
}

for (const name of ['default', 'cgroupns-private', 'memory', 'cpu', 'blkio', 'pids-ulimit-oom']) {
  test(`the plan of ${name} with cgroup v2`, () => {
    const spec = recorded[name]?.config;
    assert.ok(spec);
    compare(`${name}.v2`, buildLaunchPlan(spec, contextFor(spec, UNIFIED)));
  });
}

const DEFAULT = recorded['default']?.config;
assert.ok(DEFAULT?.process && DEFAULT.linux);
const target = {
  namespaces: (DEFAULT.linux.namespaces ?? []).map(({ type }) => type),
  cgroupsPath: DEFAULT.linux.cgroupsPath ?? '',
};

for (const [name, terminal, cgroups] of [
  ['exec', false, HYBRID],
  ['exec-tty', true, HYBRID],
  ['exec.v2', false, UNIFIED],
] as const) {
  test(`the plan of an ${name}`, () => {
    assert.ok(DEFAULT.process);
    const process = { ...DEFAULT.process, terminal, args: ['sh', '-c', 'true'] };
    const context = {
      id: '<id64>',
      cgroups,
      apparmor: false,
      selinux: false,
      oomScoreAdj: 0,
      seccomp: FILTER,
    };
    compare(name, buildExecPlan(process, target, context));
  });
}

for (const [name, swap] of [
  ['swap-unlimited.v2', -1],
  ['swap-none.v2', 64 << 20],
] as const) {
  test(`the plan of memory with ${name}`, () => {
    const resources = { ...DEFAULT.linux?.resources, memory: { limit: 64 << 20, swap } };
    const spec = { ...DEFAULT, linux: { ...DEFAULT.linux, resources } };
    compare(name, buildLaunchPlan(spec, contextFor(spec, UNIFIED)));
  });
}

const USER_NAMESPACE: RuntimeSpec = {
  ...DEFAULT,
  linux: {
    ...DEFAULT.linux,
    namespaces: [...(DEFAULT.linux.namespaces ?? []), { type: 'user' }, { type: 'cgroup' }],
    uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
    gidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  },
};

test('the plan of a container in a user namespace of its own, and of one that joins another', () => {
  const context = {
    ...contextFor(USER_NAMESPACE, UNIFIED),
    netnsGiven: false,
    networkFifo: '/run/task/network',
  };
  compare('user-namespace', buildLaunchPlan(USER_NAMESPACE, context));
  const { uidMappings: _uids, gidMappings: _gids, ...linux } = USER_NAMESPACE.linux ?? {};
  const namespaces = (linux.namespaces ?? []).map((each) =>
    each.type === 'user' ? { ...each, path: '/proc/1/ns/user' } : each,
  );
  const joined = { ...USER_NAMESPACE, linux: { ...linux, namespaces } };
  compare('user-namespace-joined', buildLaunchPlan(joined, context));
});

test('a created container with hooks waits for its start; its limits are those of the specification', () => {
  const hook = (name: string) => [{ path: `/hooks/${name}`, args: [name, '1'], env: ['A=1'], timeout: 5 }];
  const spec: RuntimeSpec = {
    ...DEFAULT,
    annotations: { key: 'value' },
    hooks: {
      prestart: hook('prestart'),
      createRuntime: hook('createRuntime'),
      createContainer: hook('createContainer'),
      startContainer: hook('startContainer'),
      poststart: hook('poststart'),
      poststop: hook('poststop'),
    },
  };
  compare('hooks', buildLaunchPlan(spec, contextFor(spec, HYBRID)));
  const created = { ...contextFor(spec, HYBRID), startFifo: '/run/task/start' };
  compare('hooks-created', buildLaunchPlan(spec, created));
});

test('a plan is small and made quickly', (t) => {
  const context = contextFor(DEFAULT, HYBRID);
  const size = encodeLaunchPlan(buildLaunchPlan(DEFAULT, context)).length;
  const rounds = 200;
  for (let i = 0; i < rounds; i += 1) encodeLaunchPlan(buildLaunchPlan(DEFAULT, context));
  const start = performance.now();
  for (let i = 0; i < rounds; i += 1) encodeLaunchPlan(buildLaunchPlan(DEFAULT, context));
  const each = (performance.now() - start) / rounds;
  t.diagnostic(`${size} bytes without the filter, ${each.toFixed(3)} ms`);
  assert.ok(size < 16 * 1024, `${size} bytes`);
  // Ten times what it takes: a loaded machine is no failure, a change of the order is.
  assert.ok(each < 3, `${each} ms`);
});

for (const [name, terminal] of [
  ['pid-joined', false],
  ['pid-joined-tty', true],
] as const) {
  test(`the plan of ${name}: others see the process when it has left the host`, () => {
    assert.ok(DEFAULT?.process && DEFAULT.linux);
    const namespaces = (DEFAULT.linux.namespaces ?? []).map((entry) =>
      entry.type === 'pid' ? { ...entry, path: '/proc/7/fd/9' } : entry,
    );
    const uptime = { destination: '/proc/uptime', type: 'bind', source: '/uptime', options: ['rbind', 'ro'] };
    const spec = {
      ...DEFAULT,
      process: { ...DEFAULT.process, terminal },
      mounts: [...(DEFAULT.mounts ?? []), ...(terminal ? [uptime] : [])],
      linux: { ...DEFAULT.linux, namespaces },
    };
    compare(name, buildLaunchPlan(spec, contextFor(spec, HYBRID)));
  });
}
