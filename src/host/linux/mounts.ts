import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MountEntry, Mounts, OverlayOptions, Processes, Sockets } from '../kernel.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { AT, O } from './file-paths.ts';
import { parseMountTable } from './mount-table.ts';
import { MOUNT_ATTR_BYTES, createShiftedOverlays, idmapAttributes } from './shifted-overlay.ts';
import { bare, type Call, check, one, type Operation, type Sys } from './sys.ts';

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG = { SET_STRING: 1, CMD_CREATE: 6 } as const;
const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MNT_DETACH = 2;
/** fsconfig copies at most so many bytes of a string, with its NUL. */
const FSCONFIG_STRING_BYTES = 256;
const LOG_BYTES = 512;

/**
 * What the overlay must not do, whatever the kernel was built with: layers are shared and may be copied as
 * files.
 */
const FIXED_OPTIONS: readonly (readonly [string, string])[] = [
  ['index', 'off'],
  ['metacopy', 'off'],
  ['redirect_dir', 'off'],
];

export interface MountDeps {
  readonly sys: Sys;
  readonly processes: Pick<Processes, 'spawn'>;
  readonly sockets: Pick<Sockets, 'pair' | 'receiveFds'>;
  /** The shim's binary: its `overlay` job serves kernels whose fsconfig takes no `lowerdir+` (before 6.7). */
  readonly overlayShim: string | undefined;
  /** Works as on older kernels though this one would not need it. */
  readonly forceShim?: boolean;
}

interface Capabilities {
  readonly overlay: boolean;
  readonly lowerdirAppend: boolean;
}

export function createMounts(deps: MountDeps): Mounts {
  const { sys } = deps;
  let probed: Capabilities | undefined;
  const capabilities = (): Capabilities => {
    probed ??= probe(sys);
    return probed;
  };
  const shifted = createShiftedOverlays(sys, FIXED_OPTIONS, deps.forceShim);
  return {
    capabilities,
    overlay: async (options) => {
      if (options.lower.length === 0) throw kernelError(errnoNumber('EINVAL'), 'overlay');
      if (options.shift !== undefined) return shifted.mount(options, options.shift);
      const direct = capabilities().lowerdirAppend && deps.forceShim !== true;
      return direct ? mountOverlay(sys, options) : overlayByShim(deps, options);
    },
    cloneTree: async (path, options = {}) => {
      const flags = OPEN_TREE_CLONE | O.CLOEXEC | (options.recursive === true ? AT_RECURSIVE : 0);
      return sys.later(openTree(path, flags, options.userns));
    },
    attach: (mount, path) => {
      sys.call(path, 'move_mount', mount, '', AT.FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
    },
    detach: (path) => {
      sys.call(path, 'umount2', path, MNT_DETACH);
    },
    table: (): readonly MountEntry[] => parseMountTable(readFileSync('/proc/thread-self/mountinfo', 'utf8')),
  };
}

const MS_PRIVATE = 1n << 18n;
/** In the kernel's mount_attr. */
const PROPAGATION_OFFSET = 16;

function* openTree(path: string, flags: number, userns: number | undefined): Operation<number> {
  const tree = yield* one(path, 'open_tree', AT.FDCWD, path, flags);
  const attributes = userns === undefined ? Buffer.alloc(MOUNT_ATTR_BYTES) : idmapAttributes(userns);
  // Service managers share all mounts of a host, and what has peers cannot become a root.
  attributes.writeBigUInt64LE(MS_PRIVATE, PROPAGATION_OFFSET);
  const how = AT.EMPTY_PATH | (flags & AT_RECURSIVE);
  const result = yield* bare('mount_setattr', tree, '', how, attributes, attributes.length);
  if (result < 0) yield [['close', tree]];
  check(result, 'mount_setattr', path);
  return tree;
}

/** Before 6.5 an overlay's options are only gathered by fsconfig, so that every word seems to be known. */
function probe(sys: Sys): Capabilities {
  const context = sys.raw('fsopen', 'overlay', FSOPEN_CLOEXEC);
  if (context < 0) return { overlay: false, lowerdirAppend: false };
  const knows = (key: string): boolean => sys.raw('fsconfig', context, FSCONFIG.SET_STRING, key, '/', 0) >= 0;
  const lowerdirAppend = knows('lowerdir+') && !knows('no-such-option');
  sys.raw('close', context);
  return { overlay: true, lowerdirAppend };
}

/** Paths too long for fsconfig go by descriptor; the descriptors live until the mount is made. */
class ShortPaths {
  readonly #open: number[] = [];

  of(path: string): string {
    if (Buffer.byteLength(path) < FSCONFIG_STRING_BYTES) return path;
    const fd = openSync(path, O.PATH | O.DIRECTORY);
    this.#open.push(fd);
    return `/proc/self/fd/${fd}`;
  }

  close(): void {
    for (const fd of this.#open) closeSync(fd);
  }
}

async function mountOverlay(sys: Sys, options: OverlayOptions): Promise<number> {
  const paths = new ShortPaths();
  try {
    const settings: (readonly [string, string])[] = options.lower.map((path) => [
      'lowerdir+',
      paths.of(path),
    ]);
    if (options.upper !== undefined) settings.push(['upperdir', paths.of(options.upper)]);
    if (options.work !== undefined) settings.push(['workdir', paths.of(options.work)]);
    return await sys.later(openOverlay([...settings, ...FIXED_OPTIONS, ['source', 'overlay']]));
  } finally {
    paths.close();
  }
}

function* openOverlay(
  settings: readonly (readonly [string, string])[],
): Generator<readonly Call[], number, readonly number[]> {
  const log = Buffer.alloc(LOG_BYTES);
  const context = [0] as const;
  const set = settings.map(([key, value]): Call => ['fsconfig', context, FSCONFIG.SET_STRING, key, value, 0]);
  // The kernel's explanation is read before the context goes; without one the read fails, which says nothing.
  const [opened = 0, ...results] = yield [
    ['fsopen', 'overlay', FSOPEN_CLOEXEC],
    ...set,
    ['fsconfig', context, FSCONFIG.CMD_CREATE, null, null, 0],
    ['fsmount', context, FSMOUNT_CLOEXEC, 0],
    ['read', context, log, log.length],
    ['close', context],
  ];
  check(opened, 'fsopen', 'overlay');
  const mount = results.at(-3) ?? 0;
  const failed = results.slice(0, -2).findIndex((result) => result < 0);
  if (failed < 0) return mount;
  if (mount >= 0) yield [['close', mount]];
  const text = log.toString('utf8').replaceAll('\0', '').trim();
  const setting = settings[failed]?.join('=') ?? 'overlay';
  return check(results[failed] ?? 0, 'fsconfig', text === '' ? setting : text);
}

/**
 * `gantry-shim overlay DIRECTORY OPTIONS` with one end of a stream socket pair as descriptor 3, on which it
 * sends one byte with the mount's descriptor; as descriptor 2 it takes the line that says what went wrong.
 * The directory holds short links to the layers, since mount(2) takes a page of options and layers are many.
 */
async function overlayByShim(deps: MountDeps, options: OverlayOptions): Promise<number> {
  const shim = deps.overlayShim;
  if (shim === undefined) throw kernelError(errnoNumber('ENOSYS'), 'overlay', 'lowerdir+');
  const directory = await mkdtemp(join(tmpdir(), 'gantry-overlay-'));
  const [ours, theirs] = deps.sockets.pair();
  try {
    const child = await deps.processes
      .spawn({
        path: shim,
        argv: ['gantry-shim', 'overlay', directory, await linkLayers(directory, options)],
        env: {},
        fds: new Map([
          [2, theirs],
          [3, theirs],
        ]),
      })
      .finally(() => closeSync(theirs));
    const { fds, message } = await deps.sockets.receiveFds(ours);
    await child.exited;
    const [mount] = fds;
    if (mount !== undefined) return mount;
    const [, step = 'overlay', errno] = /^error: (.*): (\d+)$/m.exec(message.toString()) ?? [];
    throw kernelError(Number(errno ?? errnoNumber('EIO')), step, options.upper ?? options.lower[0]);
  } finally {
    closeSync(ours);
    await rm(directory, { recursive: true });
  }
}

/** Makes the links; gives the options that name them. */
async function linkLayers(directory: string, { lower, upper, work }: OverlayOptions): Promise<string> {
  const links: (readonly [name: string, target: string])[] = lower.map((path, index) => [
    String(index),
    path,
  ]);
  const settings: (readonly [string, string])[] = [['lowerdir', links.map(([name]) => name).join(':')]];
  if (upper !== undefined) links.push(['u', upper]);
  if (upper !== undefined) settings.push(['upperdir', 'u']);
  if (work !== undefined) links.push(['w', work]);
  if (work !== undefined) settings.push(['workdir', 'w']);
  await Promise.all(links.map(([name, target]) => symlink(target, join(directory, name))));
  return [...settings, ...FIXED_OPTIONS].map(([key, value]) => `${key}=${value}`).join(',');
}
