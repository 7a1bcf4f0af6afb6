import type { RuntimeSpec, SpecDevice } from '#oci/runtime-spec.ts';
import { invalid, type PlanBuilder } from './builder.ts';
import type { LaunchContext } from './context.ts';
import { ERRNO, FILE_TYPE, OPEN } from './kernel-numbers.ts';
import { type PlannedMount, planIsolation } from './mount-model.ts';
import type { Namespaces } from './namespaces.ts';
import { insideRoot } from './paths.ts';

const DEFAULT_MODE = 0o666;
const MODE_BITS = 0o7777;
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/** Every container has these. */
const DEFAULT_DEVICES: readonly SpecDevice[] = [
  { path: '/dev/null', type: 'c', major: 1, minor: 3 },
  { path: '/dev/random', type: 'c', major: 1, minor: 8 },
  { path: '/dev/full', type: 'c', major: 1, minor: 7 },
  { path: '/dev/tty', type: 'c', major: 5, minor: 0 },
  { path: '/dev/zero', type: 'c', major: 1, minor: 5 },
  { path: '/dev/urandom', type: 'c', major: 1, minor: 9 },
];

const LINKS: readonly (readonly [path: string, target: string])[] = [
  ['/dev/fd', '/proc/self/fd'],
  ['/dev/stdin', '/proc/self/fd/0'],
  ['/dev/stdout', '/proc/self/fd/1'],
  ['/dev/stderr', '/proc/self/fd/2'],
];

const TYPES: Readonly<Record<string, number>> = {
  c: FILE_TYPE.character,
  u: FILE_TYPE.character,
  b: FILE_TYPE.block,
  p: FILE_TYPE.fifo,
};

/** A /dev of the host comes as it is. */
export function makesDevices(mounts: readonly PlannedMount[]): boolean {
  return !mounts.some(({ type, target }) => type === 'bind' && target === '/dev');
}

interface Scene {
  readonly spec: RuntimeSpec;
  readonly context: LaunchContext;
  readonly namespaces: Namespaces;
  readonly root: number;
}

function devicesOf(spec: RuntimeSpec): { device: SpecDevice; from: string }[] {
  const own = (spec.linux?.devices ?? []).map((device, i) => ({ device, from: `linux.devices[${i}]` }));
  const named = new Set(own.map(({ device }) => device.path));
  const defaults = DEFAULT_DEVICES.filter(({ path }) => !named.has(path));
  return [...defaults.map((device) => ({ device, from: 'linux.devices' })), ...own];
}

export function planDevices(builder: PlanBuilder, scene: Scene): void {
  const { spec, context, namespaces, root } = scene;
  const bound = namespaces.has('user') || context.inUserNamespace === true;
  for (const { device, from } of devicesOf(spec)) {
    const path = insideRoot(device.path, `${from}.path`);
    if (path === '/dev/ptmx') continue;
    if (bound) {
      const slot = builder.hostTree(path, { recursive: false, from });
      planIsolation(builder, { spec, slot, from });
      builder.child.push({ op: 'attach', slot, root, path, from });
    } else builder.child.push(node(device, { root, path, from }));
  }
  const links = [...LINKS];
  if (context.kcore !== false) links.push(['/dev/core', '/proc/kcore']);
  for (const [path, target] of [['/dev/ptmx', 'pts/ptmx'] as const, ...links]) {
    builder.child.push({
      op: 'makeLink',
      root,
      path,
      target,
      ignore: [ERRNO.EEXIST],
      from: 'linux.devices',
    });
  }
}

function node(device: SpecDevice, { root, path, from }: { root: number; path: string; from: string }) {
  const type = TYPES[device.type];
  if (type === undefined) throw invalid(`${from}.type`, `invalid device type "${device.type}"`);
  const { major, minor, uid = 0, gid = 0 } = device;
  const wanted = type !== FILE_TYPE.fifo;
  if (wanted && (major < 0 || major > MAX_MAJOR)) throw invalid(`${from}.major`, `${major} is out of range`);
  if (wanted && (minor < 0 || minor > MAX_MINOR)) throw invalid(`${from}.minor`, `${minor} is out of range`);
  const mode = type | ((device.fileMode ?? DEFAULT_MODE) & MODE_BITS);
  const ignore = [ERRNO.EEXIST];
  return { op: 'makeNode', root, path, mode, major, minor, uid, gid, ignore, from } as const;
}

/** The container's own /dev/null, which masks files. */
export function planNull(builder: PlanBuilder, root: number): number {
  const slot = builder.slot('linux.maskedPaths');
  builder.child.push({
    op: 'open',
    slot,
    at: root,
    path: '/dev/null',
    flags: OPEN.path | OPEN.cloexec,
    mode: 0,
    resolve: 0,
    from: 'linux.maskedPaths',
  });
  return slot;
}
