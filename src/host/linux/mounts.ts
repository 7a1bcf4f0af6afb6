import { closeSync, openSync, readFileSync } from 'node:fs';
import type { MountEntry, Mounts, OverlayOptions, Processes, Sockets } from '../kernel.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { AT, O } from './file-paths.ts';
import { parseMountTable } from './mount-table.ts';
import { type Call, check, type Sys } from './sys.ts';

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

/** What the overlay must not do, whatever the kernel was built with: layers are shared and may be copied as files. */
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
  readonly overlayHelper: string | undefined;
  /** Uses the helper though the kernel would not need it. */
  readonly forceHelper?: boolean;
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
  return {
    capabilities,
    overlay: (options) => {
      if (options.lower.length === 0) throw kernelError(errnoNumber('EINVAL'), 'overlay');
      const direct = capabilities().lowerdirAppend && deps.forceHelper !== true;
      return direct ? mountOverlay(sys, options) : overlayByHelper(deps, options);
    },
    cloneTree: async (path, options = {}) => {
      const flags = OPEN_TREE_CLONE | O.CLOEXEC | (options.recursive === true ? AT_RECURSIVE : 0);
      return sys.later(single(path, ['open_tree', AT.FDCWD, path, flags]));
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

function* single(path: string, call: Call): Generator<readonly Call[], number, readonly number[]> {
  const [result] = yield [call];
  return check(result ?? 0, call[0], path);
}

function probe(sys: Sys): Capabilities {
  const context = sys.raw('fsopen', 'overlay', FSOPEN_CLOEXEC);
  if (context < 0) return { overlay: false, lowerdirAppend: false };
  const result = sys.raw('fsconfig', context, FSCONFIG.SET_STRING, 'lowerdir+', '/', 0);
  sys.raw('close', context);
  return { overlay: true, lowerdirAppend: result >= 0 };
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
    const settings: (readonly [string, string])[] = options.lower.map((path) => ['lowerdir+', paths.of(path)]);
    if (options.upper !== undefined) settings.push(['upperdir', paths.of(options.upper)]);
    if (options.work !== undefined) settings.push(['workdir', paths.of(options.work)]);
    return await sys.later(openOverlay([...settings, ...FIXED_OPTIONS, ['source', 'overlay']]));
  } finally {
    paths.close();
  }
}

function* openOverlay(settings: readonly (readonly [string, string])[]): Generator<readonly Call[], number, readonly number[]> {
  const context = yield* single('overlay', ['fsopen', 'overlay', FSOPEN_CLOEXEC]);
  const log = Buffer.alloc(LOG_BYTES);
  const set = settings.map(([key, value]): Call => ['fsconfig', context, FSCONFIG.SET_STRING, key, value, 0]);
  // The kernel's explanation is read before the context goes; without one the read fails, which says nothing.
  const results = yield [
    ...set,
    ['fsconfig', context, FSCONFIG.CMD_CREATE, null, null, 0],
    ['fsmount', context, FSMOUNT_CLOEXEC, 0],
    ['read', context, log, log.length],
    ['close', context],
  ];
  const mount = results.at(-3) ?? 0;
  const failed = results.slice(0, -2).findIndex((result) => result < 0);
  if (failed < 0) return mount;
  if (mount >= 0) yield [['close', mount]];
  const text = log.toString('utf8').replaceAll('\0', '').trim();
  const setting = settings[failed]?.join('=') ?? 'overlay';
  return check(results[failed] ?? 0, 'fsconfig', text === '' ? setting : text);
}

/**
 * `gantry-shim overlay UPPER WORK LOWER…` (top first; `-` for no upper and work) with one end of a stream socket pair as
 * descriptor 3, on which it sends one byte with the mount's descriptor.
 */
async function overlayByHelper(deps: MountDeps, options: OverlayOptions): Promise<number> {
  const helper = deps.overlayHelper;
  if (helper === undefined) throw kernelError(errnoNumber('ENOSYS'), 'overlay', 'lowerdir+');
  const [ours, theirs] = deps.sockets.pair();
  try {
    const child = await deps.processes.spawn({
      path: helper,
      argv: ['gantry-shim', 'overlay', options.upper ?? '-', options.work ?? '-', ...options.lower],
      env: {},
      fds: new Map([[3, theirs]]),
    });
    closeSync(theirs);
    const [received, status] = await Promise.allSettled([deps.sockets.receiveFds(ours), child.exited]);
    const fd = received.status === 'fulfilled' ? received.value.fds[0] : undefined;
    if (fd !== undefined) return fd;
    // The helper's exit code is the errno that stopped it.
    const code = status.status === 'fulfilled' && 'exitCode' in status.value ? status.value.exitCode : 0;
    throw kernelError(code === 0 ? errnoNumber('EIO') : code, 'overlay', options.upper ?? options.lower[0]);
  } finally {
    closeSync(ours);
  }
}
