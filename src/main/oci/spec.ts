import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  OCI_RUNTIME_VERSION,
  type RuntimeSpec,
  type SpecMount,
  type SpecNamespace,
} from '#oci/runtime-spec.ts';
import type { Context } from './context.ts';
import { Failure } from './messages.ts';

const CAPABILITIES = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
const QUIET = ['nosuid', 'noexec', 'nodev'];
const OPEN_FILES = 1024;

const MASKED = [
  'acpi',
  'asound',
  'kcore',
  'keys',
  'latency_stats',
  'timer_list',
  'timer_stats',
  'sched_debug',
  'scsi',
];
const READONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];

function mounts(rootless: boolean): SpecMount[] {
  const sys: SpecMount = rootless
    ? { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...QUIET, 'ro'] }
    : { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...QUIET, 'ro'] };
  const pts = [
    'nosuid',
    'noexec',
    'newinstance',
    'ptmxmode=0666',
    'mode=0620',
    ...(rootless ? [] : ['gid=5']),
  ];
  const shared = [...QUIET, 'mode=1777', 'size=65536k'];
  return [
    { destination: '/proc', type: 'proc', source: 'proc' },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: pts },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: shared },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: QUIET },
    sys,
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...QUIET, 'relatime', 'ro'],
    },
  ];
}

function linux(owner: { uid: number; gid: number } | null): NonNullable<RuntimeSpec['linux']> {
  const types: SpecNamespace['type'][] = ['pid', ...(owner === null ? (['network'] as const) : [])];
  types.push('ipc', 'uts', 'mount', 'cgroup', ...(owner === null ? [] : (['user'] as const)));
  return {
    ...(owner !== null && {
      uidMappings: [{ containerID: 0, hostID: owner.uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: owner.gid, size: 1 }],
    }),
    ...(owner === null && { resources: { devices: [{ allow: false, access: 'rwm' }] } }),
    namespaces: types.map((type) => ({ type })),
    maskedPaths: [...MASKED.map((name) => `/proc/${name}`), '/sys/firmware'],
    readonlyPaths: READONLY.map((name) => `/proc/${name}`),
  };
}

/** A container of one shell: what somebody edits to get their own. */
export function templateSpec(owner: { uid: number; gid: number } | null): RuntimeSpec {
  return {
    ociVersion: OCI_RUNTIME_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: OPEN_FILES, soft: OPEN_FILES }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'gantry',
    mounts: mounts(owner !== null).filter(({ type }) => owner === null || type !== 'cgroup'),
    linux: linux(owner),
  };
}

export function spec({ flags }: Context): Promise<void> {
  const bundle = flags.text('bundle') ?? '';
  const path = join(bundle === '' ? '.' : bundle, 'config.json');
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) {
    return Promise.reject(new Failure('File config.json exists. Remove it first'));
  }
  const text = `${JSON.stringify(templateSpec(flags.on('rootless') ? owner : null), null, '\t')}\n`;
  writeFileSync(path, text, { flag: 'wx', mode: 0o666 });
  return Promise.resolve();
}
