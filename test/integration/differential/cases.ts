/** What is run by both: everything that `docker run` can ask its runtime for, one thing at a time. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeSpec, SpecMount, SpecSyscall } from '#oci/runtime-spec.ts';
import type { SecurityInput, SpecInput } from '#runtime/spec.ts';
import { PLAIN_SECURITY } from '../../support/spec-input.ts';
import { type Place, specOf } from './bundle.ts';
import { SURROUNDINGS } from './surroundings.ts';

export interface Case {
  readonly name: string;
  /** The spec; may make files below the place first. */
  readonly spec: (at: Place) => RuntimeSpec | Promise<RuntimeSpec>;
  /** What there is to compare besides the probe's output. */
  readonly more?: (at: Place) => string;
  readonly terminal?: boolean;
}

const MB = 1024 * 1024;
const STACK = 4 * MB;
const security = (change: Partial<SecurityInput>): Partial<SpecInput> => ({
  security: { ...PLAIN_SECURITY, ...change },
});

const input = (name: string, given: Partial<SpecInput>): Case => ({ name, spec: (at) => specOf(at, given) });

const changed = (name: string, change: (spec: RuntimeSpec, at: Place) => void): Case => ({
  name,
  spec: (at) => {
    const spec = specOf(at);
    change(spec, at);
    return spec;
  },
});

function withMount(name: string, mount: (at: Place) => SpecMount): Case {
  return changed(name, (spec, at) => spec.mounts?.push(mount(at)));
}

/** A folder beside the root with a file in it. */
function volume(at: Place): string {
  const path = join(at.folder, 'volume');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'file'), 'content\n');
  return path;
}

const denied: SpecSyscall = { names: ['sethostname', 'uname'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 };

const INPUTS: readonly Case[] = [
  input('default', {}),
  input('host network', { network: { mode: 'host' } }),
  input('privileged', security({ privileged: true })),
  input('read-only', { rootfsReadonly: true }),
  input('capabilities', security({ capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } })),
  input('user', { user: { uid: 1000, gid: 5, additionalGids: [5, 7], home: '/' } }),
  input('user with capabilities', {
    ...security({ capabilities: { add: ['NET_ADMIN'], drop: [] } }),
    user: { uid: 1000, gid: 1000, additionalGids: [], home: '/' },
  }),
  input('no new privileges', security({ noNewPrivileges: true })),
  input('no new privileges, user', {
    ...security({ noNewPrivileges: true }),
    user: { uid: 65534, gid: 65534, additionalGids: [], home: '/' },
  }),
  input('without seccomp', security({ seccomp: 'unconfined' })),
  input('system paths open', security({ maskedPaths: [], readonlyPaths: [] })),
  input('environment', { env: ['PATH=/bin', 'A=1', 'B=x y', 'A=2'], cwd: '/tmp', domainname: 'example.org' }),
  input('directory made', { cwd: '/not/there' }),
  input('memory', { resources: { memoryBytes: 64 * MB, memorySwapBytes: 128 * MB } }),
  input('cpu', { resources: { nanoCpus: 5e8, cpu: { shares: 256, cpus: '0' } } }),
  input('limits', {
    oomScoreAdj: 100,
    resources: { pidsLimit: 60, ulimits: [{ name: 'nofile', soft: 1024, hard: 2048 }] },
  }),
  input('device', {
    devices: {
      nodes: [{ path: '/dev/deep/xn', type: 'c', major: 1, minor: 3, fileMode: 0o640, uid: 3, gid: 4 }],
      rules: [{ allow: true, type: 'c', major: 1, minor: 1, access: 'rwm' }],
    },
  }),
  input('tmpfs', {
    mounts: [
      { type: 'tmpfs', destination: '/t', options: ['size=1m'] },
      { type: 'tmpfs', destination: '/u/v', options: ['mode=700', 'uid=5', 'exec'] },
    ],
  }),
  input('host namespaces', { ipc: { mode: 'host' }, pid: { mode: 'host' }, uts: 'host' }),
  input('no shm', { ipc: { mode: 'none' } }),
  input('own cgroup namespace', { cgroupNamespace: 'private' }),
  input('sysctls', { sysctls: { 'net.ipv4.ip_forward': '1', 'kernel.msgmax': '4096' } }),
  input('shm size', { shmSizeBytes: 2 * MB }),
];

const bind = (at: Place, options: string[], destination = '/h'): SpecMount => ({
  destination,
  type: 'bind',
  source: volume(at),
  options,
});

const MOUNTS: readonly Case[] = [
  withMount('bind', (at) => bind(at, ['rbind', 'rprivate'])),
  withMount('bind read-only', (at) => bind(at, ['rbind', 'ro', 'rprivate'])),
  withMount('bind recursively read-only', (at) => bind(at, ['rbind', 'rro', 'rprivate'])),
  withMount('bind slave', (at) => bind(at, ['rbind', 'rslave'])),
  withMount('bind with flags', (at) => bind(at, ['bind', 'nosuid', 'nodev', 'noexec', 'noatime'])),
  withMount('bind of a file', (at) => ({
    ...bind(at, ['bind', 'ro'], '/etc/made'),
    source: `${volume(at)}/file`,
  })),
  withMount('bind to a deep new path', (at) => bind(at, ['bind'], '/a/b/c')),
  withMount('bind through a link', (at) => {
    symlinkSync('/tmp', join(at.rootfs, 'link'));
    return bind(at, ['bind'], '/link/inside');
  }),
  withMount('bind through a link that leads out', (at) => {
    symlinkSync('../../../../../../tmp', join(at.rootfs, 'out'));
    return bind(at, ['bind'], '/out/inside');
  }),
  withMount('tmpfs with a copy', () => ({
    destination: '/etc',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['tmpcopyup', 'mode=755'],
  })),
];

const FIELDS: readonly Case[] = [
  changed('custom seccomp', (spec) => {
    if (spec.linux) spec.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [denied] };
  }),
  changed('personality', (spec) => {
    if (spec.linux) spec.linux.personality = { domain: 'LINUX32' };
  }),
  changed('umask', (spec) => {
    if (spec.process) spec.process.user = { uid: 0, gid: 0, umask: 0o77 };
  }),
  changed('ambient capabilities', (spec) => {
    const sets = spec.process?.capabilities;
    if (sets)
      spec.process = {
        ...base(spec),
        capabilities: { ...sets, inheritable: ['CAP_KILL'], ambient: ['CAP_KILL'] },
      };
  }),
  changed('many limits', (spec) => {
    if (spec.process)
      spec.process.rlimits = ['CORE', 'STACK', 'FSIZE', 'LOCKS'].map((name, i) => ({
        type: `RLIMIT_${name}`,
        soft: STACK + i,
        hard: STACK * 2,
      }));
  }),
  changed('mapped user namespace', (spec) => {
    if (!spec.linux) return;
    spec.linux.namespaces?.push({ type: 'user' });
    spec.linux.sysctl = {};
    spec.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 2000 }];
    spec.linux.gidMappings = [
      { containerID: 0, hostID: 200_000, size: 1000 },
      { containerID: 1000, hostID: 300_000, size: 1000 },
    ];
  }),
  changed('user namespace', (spec) => {
    if (!spec.linux) return;
    spec.linux.namespaces?.push({ type: 'user' });
    const map = [{ containerID: 0, hostID: 0, size: 65_536 }];
    // The range of groups would be wider than the mapping.
    spec.linux.sysctl = {};
    spec.linux.uidMappings = map;
    spec.linux.gidMappings = map;
  }),
];

function base(spec: RuntimeSpec): NonNullable<RuntimeSpec['process']> {
  if (spec.process === undefined) throw new Error('a spec without a process');
  return spec.process;
}

export const CASES: readonly Case[] = [...INPUTS, ...MOUNTS, ...FIELDS, ...SURROUNDINGS];
