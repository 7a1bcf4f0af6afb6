import type { SpecMount } from '#oci/runtime-spec.ts';
import type { MountInput, SpecInput } from '../spec-input.ts';
import { isRemapped } from './namespaces.ts';
import { mergeTmpfsOptions, TMPFS_DEFAULTS } from './tmpfs.ts';

const BASIC = ['nosuid', 'noexec', 'nodev'];
/** Not made read-only by a read-only root: they have no content of the image. */
const ALWAYS_WRITABLE = new Set(['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue']);

function defaultMounts(shmSizeBytes: number): SpecMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: [...BASIC] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...BASIC, 'ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro', ...BASIC] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: [...BASIC] },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...BASIC, 'mode=1777', `size=${shmSizeBytes}`],
    },
  ];
}

function userMount(mount: MountInput): SpecMount {
  if (mount.type === 'tmpfs') {
    const options = mergeTmpfsOptions([...TMPFS_DEFAULTS, ...mount.options]);
    return { destination: mount.destination, type: 'tmpfs', source: 'tmpfs', options };
  }
  const options = [mount.nonRecursive ? 'bind' : 'rbind'];
  if (mount.readonly) options.push(mount.readonlyNonRecursive || mount.nonRecursive ? 'ro' : 'rro');
  if (mount.propagation !== '') options.push(mount.propagation);
  return { destination: mount.destination, type: 'bind', source: mount.source, options };
}

function bind(source: string, destination: string, readonly: boolean): SpecMount {
  return { destination, type: 'bind', source, options: ['rbind', ...(readonly ? ['rro'] : []), 'rprivate'] };
}

function shmMount(input: SpecInput): SpecMount[] {
  if (input.ipc.mode === 'host') return [bind('/dev/shm', '/dev/shm', false)];
  const shared =
    input.ipc.mode === 'shareable' || input.ipc.mode === 'container' ? input.ipc.shmPath : undefined;
  return shared === undefined ? [] : [bind(shared, '/dev/shm', false)];
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '' && part !== '.').length;
}

function clean(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

/** Defaults first, then everything that somebody asked for, parents before what lies in them. */
export function buildMounts(input: SpecInput, initTarget: string): SpecMount[] {
  const asked = input.mounts.map(userMount);
  const askedAt = new Set(asked.map((mount) => clean(mount.destination)));
  const files = input.networkFiles
    .filter((file) => !askedAt.has(file.destination))
    .map((file) => bind(file.source, file.destination, input.rootfsReadonly));
  const shm = shmMount(input).filter((mount) => !askedAt.has(mount.destination));
  const wanted = [...shm, ...asked, ...files];
  const replaced = new Set(wanted.map((mount) => clean(mount.destination)));
  const defaults = defaultMounts(input.shmSizeBytes).filter((mount) => {
    if (replaced.has(mount.destination) || (replaced.has('/dev') && mount.destination.startsWith('/dev/')))
      return false;
    return mount.destination !== '/dev/shm' || input.ipc.mode !== 'none';
  });
  for (const mount of defaults) adjustDefault(mount, input);
  const init: SpecMount[] =
    input.initPath !== undefined && input.pid.mode === 'private'
      ? [{ destination: initTarget, type: 'bind', source: input.initPath, options: ['bind', 'ro'] }]
      : [];
  wanted.sort((a, b) => depth(a.destination) - depth(b.destination));
  return [...defaults, ...init, ...wanted];
}

function adjustDefault(mount: SpecMount, input: SpecInput): void {
  const options = mount.options ?? [];
  const isCgroup = mount.type === 'cgroup';
  const writable = input.security.privileged && (mount.destination === '/sys' || isCgroup);
  // Not even root may change the flags of such a mount from inside of a user namespace.
  if (writable || (isCgroup && isRemapped(input))) {
    mount.options = options.filter((option) => option !== 'ro');
  } else if (input.rootfsReadonly && !ALWAYS_WRITABLE.has(mount.destination) && !options.includes('ro')) {
    mount.options = [...options, 'ro'];
  }
}

/** What the root must be so that mounts of the host reach a `shared` or `slave` bind. */
export function rootPropagation(mounts: readonly MountInput[]): string | undefined {
  const wanted = mounts.map((mount) => (mount.type === 'bind' ? mount.propagation : ''));
  if (wanted.some((value) => value === 'shared' || value === 'rshared')) return 'shared';
  return wanted.some((value) => value === 'slave' || value === 'rslave') ? 'rslave' : undefined;
}
