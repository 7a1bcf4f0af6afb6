import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import type { SpecDevice, SpecDeviceCgroup, SpecSeccomp } from '#oci/runtime-spec.ts';
import { buildExecProcess, buildRuntimeSpec, type SecurityInput, type SpecInput } from './spec.ts';
import { capabilitiesOf } from './spec/capabilities.ts';
import { DEFAULT_PROFILE } from './seccomp/default-profile.ts';

interface Recorded {
  readonly flags: string;
  readonly error?: string;
  readonly config?: RecordedConfig;
}
interface RecordedConfig {
  [member: string]: unknown;
  root: { path: string };
  linux: {
    seccomp?: SpecSeccomp | string;
    devices?: SpecDevice[];
    resources: { devices: SpecDeviceCgroup[] };
  };
}

const reference = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../test/reference/${name}`, import.meta.url), 'utf8'));
const recorded = reference('oci-config-goldens.json') as Record<string, Recorded>;

const DATA = '/var/lib/docker';
const SECURITY: SecurityInput = {
  privileged: false,
  capabilities: { add: [], drop: [] },
  noNewPrivileges: false,
  seccomp: 'default',
  apparmor: '',
  maskedPaths: null,
  readonlyPaths: null,
};
/** The recorder's host gave every capability but SYS_RESOURCE. */
const BASE: SpecInput = {
  id: '<id64>',
  args: ['sleep', '60'],
  env: ['PATH=/bin'],
  cwd: '',
  user: { uid: 0, gid: 0, additionalGids: [0], home: '/root' },
  terminal: false,
  hostname: '<id12>',
  domainname: '',
  rootfsReadonly: false,
  network: { mode: 'private' },
  pid: { mode: 'private' },
  ipc: { mode: 'private' },
  uts: 'private',
  cgroupNamespace: 'host',
  cgroupPath: '/docker/<id64>',
  mounts: [],
  networkFiles: ['resolv.conf', 'hostname', 'hosts'].map((name) => ({
    source: `${DATA}/containers/<id64>/${name}`,
    destination: `/etc/${name}`,
  })),
  shmSizeBytes: 67108864,
  security: SECURITY,
  resources: {},
  devices: { nodes: [], rules: [] },
  sysctls: {},
  oomScoreAdj: 0,
  annotations: {},
  host: {
    arch: 'x64',
    kernelVersion: '6.18.0',
    capabilities: capabilitiesOf(0x1ff_feff_ffffn),
    extraMaskedPaths: [],
  },
};

const MB = 1024 * 1024;
const bindTmp = (propagation: string) =>
  ({ type: 'bind', source: '/tmp', destination: '/h', readonly: true, propagation }) as const;

/** What each recorded `docker run` asked for, as input. */
const INPUTS: Record<string, Partial<SpecInput>> = {
  default: {},
  'network-none': {},
  'network-host': { network: { mode: 'host' }, hostname: 'vm' },
  tty: { terminal: true },
  interactive: {},
  privileged: {
    security: { ...SECURITY, privileged: true },
    devices: { nodes: recorded.privileged?.config?.linux.devices ?? [], rules: [] },
  },
  'read-only': { rootfsReadonly: true },
  'cap-add-drop': { security: { ...SECURITY, capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } } },
  user: { user: { uid: 1000, gid: 5, additionalGids: [5, 7], home: '/' } },
  'no-new-privileges': { security: { ...SECURITY, noNewPrivileges: true } },
  'seccomp-unconfined': { security: { ...SECURITY, seccomp: 'unconfined' } },
  'systempaths-unconfined': { security: { ...SECURITY, maskedPaths: [], readonlyPaths: [] } },
  env: { env: ['PATH=/bin', 'A=1'], cwd: '/tmp', hostname: 'hh', domainname: 'dd' },
  memory: { resources: { memoryBytes: 64 * MB, memoryReservationBytes: 32 * MB, memorySwapBytes: 128 * MB } },
  cpu: { resources: { nanoCpus: 5e8, cpu: { shares: 256, cpus: '0' } } },
  'pids-ulimit-oom': {
    oomScoreAdj: 100,
    resources: {
      pidsLimit: 30,
      ulimits: [
        { name: 'nofile', soft: 1024, hard: 2048 },
        { name: 'nproc', soft: 100, hard: 100 },
      ],
    },
  },
  device: {
    devices: {
      nodes: [{ path: '/dev/xn', type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 }],
      rules: [
        { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
        { allow: true, type: 'c', major: 42, minor: -1, access: 'rmw' },
      ],
    },
  },
  bind: {
    mounts: [
      bindTmp('rprivate'),
      {
        type: 'bind',
        source: `${DATA}/volumes/vol1/_data`,
        destination: '/vol',
        readonly: false,
        propagation: '',
      },
    ],
  },
  'bind-propagation': { mounts: [bindTmp('private')] },
  tmpfs: {
    mounts: [
      { type: 'tmpfs', destination: '/t', options: ['size=1m'] },
      { type: 'tmpfs', destination: '/u', options: ['mode=700'] },
    ],
  },
  'ipc-host-pid-host-uts-host': { ipc: { mode: 'host' }, pid: { mode: 'host' }, uts: 'host' },
  'ipc-shareable': { ipc: { mode: 'shareable', shmPath: `${DATA}/containers/<id64>/mounts/shm` } },
  'ipc-none': { ipc: { mode: 'none' } },
  sysctl: { sysctls: { 'net.ipv4.ip_forward': '1' } },
  'shm-size': { shmSizeBytes: MB },
  init: { initPath: '/usr/bin/docker-init' },
  annotation: { annotations: { k: 'v' } },
  'cgroup-parent': { cgroupPath: '/gold/<id64>' },
  'cgroupns-private': { cgroupNamespace: 'private' },
  blkio: { resources: { blkio: { throttleReadBpsDevice: [{ major: 254, minor: 0, rate: MB }] } } },
};

/**
 * The intentional differences:
 * - `root.path` is relative to the bundle: the mount exists in the runtime's mount namespace only;
 * - the device rules of an unprivileged container stand once, the reference repeats the eight default ones.
 */
function withoutDifferences(config: RecordedConfig, seccomp: SpecSeccomp): RecordedConfig {
  const copy = structuredClone(config);
  copy.root.path = 'rootfs';
  const rules = copy.linux.resources.devices;
  if (JSON.stringify(rules.slice(0, 8)) === JSON.stringify(rules.slice(8, 16))) rules.splice(0, 8);
  if (typeof copy.linux.seccomp === 'string') copy.linux.seccomp = structuredClone(seccomp);
  return copy;
}

describe('recorded specs of the reference', () => {
  const seccomp = recorded.default?.config?.linux.seccomp as SpecSeccomp;
  for (const [name, { config, flags }] of Object.entries(recorded)) {
    if (config === undefined) continue;
    test(`${name}: run ${flags}`, () => {
      const input = INPUTS[name];
      assert.ok(input !== undefined, 'every recorded case has an input');
      const expected = withoutDifferences(config, seccomp);
      assert.deepEqual(JSON.parse(JSON.stringify(buildRuntimeSpec({ ...BASE, ...input }))), expected);
    });
  }

  test('dev-mount: a user mount on /dev takes every default mount below it away', () => {
    const mount = {
      type: 'bind',
      source: '/tmp',
      destination: '/dev',
      readonly: false,
      propagation: 'rprivate',
    } as const;
    const at = buildRuntimeSpec({ ...BASE, mounts: [mount] }).mounts.map((m) => m.destination);
    assert.deepEqual(
      at.filter((path) => path.startsWith('/dev')),
      ['/dev'],
    );
  });
});

describe('spec rules without a record', () => {
  test('seccomp: the carried profile is the default one', () => {
    const profile = JSON.parse(JSON.stringify(reference('seccomp-default.json')), (key, value: unknown) =>
      key === 'comment' ? undefined : key === 'subArchitectures' ? (value ?? []) : value,
    );
    assert.deepEqual(JSON.parse(JSON.stringify(DEFAULT_PROFILE)), profile);
  });

  test('seccomp: capabilities and architecture choose rules', () => {
    const names = (input: Partial<SpecInput>): string[] =>
      (buildRuntimeSpec({ ...BASE, ...input }).linux.seccomp?.syscalls ?? []).flatMap((rule) => rule.names);
    const admin = { security: { ...SECURITY, capabilities: { add: ['SYS_ADMIN'], drop: [] } } };
    assert.ok(!names({}).includes('mount') && names(admin).includes('mount'));
    assert.ok(
      !names(admin).includes('clone3') || names(admin).filter((name) => name === 'clone3').length === 1,
    );
    const arm = { host: { ...BASE.host, arch: 'arm64' } };
    assert.ok(names(arm).includes('arm_fadvise64_64') && !names({}).includes('arm_fadvise64_64'));
  });

  test('seccomp: custom profiles, good and bad', () => {
    const custom = (seccomp: string, privileged = false) =>
      buildRuntimeSpec({ ...BASE, security: { ...SECURITY, seccomp, privileged } }).linux.seccomp;
    const text = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO"}]}';
    const expected = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO' }],
    };
    assert.deepEqual(custom(text), expected);
    assert.deepEqual(custom(text, true), expected);
    for (const bad of [
      '{',
      '[]',
      '{"syscalls":{}}',
      '{"syscalls":[1]}',
      '{"archMap":"x"}',
      `{"syscalls":${'['.repeat(99)}`,
    ]) {
      assert.throws(
        () => custom(bad),
        (error) => isEngineError(error, 'invalidArgument'),
        bad,
      );
    }
  });

  test('capabilities: ALL, names in any form, unknown ones', () => {
    const bounding = (add: string[], drop: string[]) =>
      buildRuntimeSpec({ ...BASE, security: { ...SECURITY, capabilities: { add, drop } } }).process
        .capabilities?.bounding ?? [];
    assert.equal(bounding(['ALL'], ['cap_sys_admin', 'SYS_TIME']).length, 38);
    assert.deepEqual(bounding(['cap_bpf', 'chown'], ['all']), ['CAP_BPF', 'CAP_CHOWN']);
    assert.ok(!bounding([], ['mknod']).includes('CAP_MKNOD'));
    assert.throws(
      () => bounding(['nosuch'], []),
      /^EngineError: invalid CapAdd: unknown capability: "CAP_NOSUCH"$/,
    );
  });

  test('tmpfs: later options win, unknown ones are refused', () => {
    const options = (...given: string[]) =>
      buildRuntimeSpec({
        ...BASE,
        mounts: [{ type: 'tmpfs', destination: '/t', options: given }],
      }).mounts.find((mount) => mount.destination === '/t')?.options;
    assert.deepEqual(options('exec', 'size=1', 'size=2'), ['nosuid', 'nodev', 'rprivate', 'exec', 'size=2']);
    assert.throws(() => options('nosuch'), /invalid tmpfs option "nosuch"/);
  });

  test('environment: replaced in place, removed, malformed entries dropped', () => {
    const env = ['A=1', 'PATH', 'HOSTNAME=x', '=bad', 'A=2', '__proto__=p'];
    assert.deepEqual(buildRuntimeSpec({ ...BASE, env }).process.env, ['HOSTNAME=x', 'A=2', '__proto__=p']);
  });

  test('mounts: parents first, user mounts replace defaults and network files, propagation reaches the root', () => {
    const bind = (destination: string, propagation = 'rprivate') =>
      ({ type: 'bind', source: '/s', destination, readonly: false, propagation }) as const;
    const mounts = [bind('/a/b/c'), bind('/etc/hosts'), bind('/proc/'), bind('/a', 'rslave')];
    const spec = buildRuntimeSpec({ ...BASE, mounts, rootfsReadonly: true });
    const at = spec.mounts.map((mount) => mount.destination);
    assert.ok(at.indexOf('/a') < at.indexOf('/a/b/c'));
    assert.equal(at.filter((path) => path === '/etc/hosts').length, 1);
    assert.ok(!at.includes('/proc'));
    assert.equal(spec.linux.rootfsPropagation, 'rslave');
  });

  test('joined namespaces are named by task', () => {
    const spec = buildRuntimeSpec({
      ...BASE,
      pid: { mode: 'container', id: 'other' },
      network: { mode: 'container', id: 'n' },
    });
    const paths = Object.fromEntries((spec.linux.namespaces ?? []).map((entry) => [entry.type, entry.path]));
    assert.deepEqual([paths.pid, paths.network, paths.ipc], ['task:other', 'task:n', undefined]);
    assert.equal(spec.linux.sysctl, undefined);
  });

  test('user namespaces: as recorded, and joined by task', () => {
    const mapping = { containerId: 0, hostId: 100_000, size: 65_536 };
    const mappings = { uids: [mapping], gids: [mapping] };
    const spec = buildRuntimeSpec({ ...BASE, userns: { mode: 'private', mappings } });
    const { namespaces, uidMappings, gidMappings, sysctl } = spec.linux;
    assert.deepEqual(
      namespaces?.map(({ type }) => type),
      ['mount', 'network', 'uts', 'pid', 'ipc', 'user'],
    );
    const recordedMapping = { containerID: 0, hostID: 100_000, size: 65_536 };
    assert.deepEqual([uidMappings, gidMappings], [[recordedMapping], [recordedMapping]]);
    assert.deepEqual(sysctl, { 'net.ipv4.ip_unprivileged_port_start': '0' });
    const cgroup = spec.mounts.find((mount) => mount.type === 'cgroup');
    assert.deepEqual(cgroup?.options, ['nosuid', 'noexec', 'nodev']);
    const guest = buildRuntimeSpec({ ...BASE, userns: { mode: 'container', id: 'x', mappings } });
    assert.equal(guest.linux.namespaces?.find(({ type }) => type === 'user')?.path, 'task:x');
    assert.deepEqual(buildRuntimeSpec({ ...BASE, userns: { mode: 'host' } }), buildRuntimeSpec(BASE));
  });

  test('exec: the container process with its own arguments, user and capabilities', () => {
    const user = { uid: 7, gid: 7, additionalGids: [7], home: '/' };
    const exec = { args: ['id'], env: ['B=2', 'PATH=/x'], cwd: '', user, terminal: true, privileged: true };
    const process = buildExecProcess({ ...BASE, cwd: '/w', initPath: '/i' }, exec);
    assert.deepEqual(process.args, ['id']);
    assert.deepEqual(process.env, ['PATH=/x', 'HOSTNAME=<id12>', 'TERM=xterm', 'B=2']);
    assert.deepEqual([process.cwd, process.user.uid, process.terminal], ['/w', 7, true]);
    assert.equal(process.capabilities?.bounding?.length, 40);
  });
});
