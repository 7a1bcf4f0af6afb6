import { basename, dirname } from 'node:path';
import { isKernelError } from '../kernel-error.ts';
import type { IdShift, OverlayOptions } from '../kernel.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { AT, O } from './file-paths.ts';
import type { ResultOf } from './native.ts';
import { becomeOwner } from './owner.ts';
import { type Call, check, type Sys } from './sys.ts';

/*
 * Overlays of idmapped layers. The overlay acts on its layers with the ids of whoever mounted it, and root is
 * not mapped in them: so it is mounted by a thread that has the ids of the container's root for files.
 */

const FSCONFIG = { SET_STRING: 1, SET_FD: 5, CMD_CREATE: 6 } as const;
const CLOEXEC = 1;
const OPEN_TREE_CLONE = 1;
const MOUNT_ATTR_IDMAP = 0x100000n;
export const MOUNT_ATTR_BYTES = 32;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const CLONE_NEWNS = 0x20000;
const MS_REC_PRIVATE = 0x44000;
/** A directory that surely exists and holds no layer: covered by a tmpfs in a namespace of our own. */
const SCRATCH = '/proc';

export type FixedOptions = readonly (readonly [string, string])[];

interface Layers {
  readonly lower: readonly ResultOf[];
  /** The mount of the directory that holds upper and work: the overlay wants them on one mount. */
  readonly parent: ResultOf | null;
}

/** A batch that grows; what a call gives is known by its place. */
class Batch {
  readonly calls: Call[] = [['chain']];
  readonly #descriptors: ResultOf[] = [];

  add(call: Call): ResultOf {
    this.calls.push(call);
    return [this.calls.length - 1];
  }

  open(call: Call): ResultOf {
    const result = this.add(call);
    this.#descriptors.push(result);
    return result;
  }

  /** Whatever became of the rest. */
  closeAll(): void {
    for (const descriptor of this.#descriptors) this.calls.push(['close', descriptor]);
  }
}

export function idmapAttributes(userns: number): Buffer {
  const attributes = Buffer.alloc(MOUNT_ATTR_BYTES);
  attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0);
  attributes.writeBigUInt64LE(BigInt(userns), 24);
  return attributes;
}

function openLayers(batch: Batch, options: OverlayOptions, userns: number): Layers {
  const attributes = idmapAttributes(userns);
  const open = (path: string): ResultOf => {
    const tree = batch.open(['open_tree', AT.FDCWD, path, OPEN_TREE_CLONE | O.CLOEXEC]);
    batch.add(['mount_setattr', tree, '', AT.EMPTY_PATH, attributes, MOUNT_ATTR_BYTES]);
    return tree;
  };
  const { upper, lower } = options;
  return { lower: lower.map(open), parent: upper === undefined ? null : open(dirname(upper)) };
}

function upperAndWork({ upper, work }: OverlayOptions): readonly (readonly [string, string])[] {
  if (upper === undefined || work === undefined) return [];
  if (dirname(upper) !== dirname(work)) throw kernelError(errnoNumber('EINVAL'), 'overlay', work);
  return [
    ['upperdir', basename(upper)],
    ['workdir', basename(work)],
  ];
}

interface Request {
  readonly sys: Sys;
  readonly options: OverlayOptions;
  readonly shift: IdShift;
  readonly fixed: FixedOptions;
}

/** The layers' descriptors are given to the new mount: Linux 6.15. */
function byDescriptors({ sys, options, shift, fixed }: Request): { batch: Batch; mount: ResultOf } {
  const batch = new Batch();
  const { lower, parent } = openLayers(batch, options, shift.userns);
  const named: (readonly [string, ResultOf])[] = lower.map((tree) => ['lowerdir+', tree]);
  if (parent !== null) {
    const flags = O.PATH | O.DIRECTORY | O.CLOEXEC;
    for (const [key, name] of upperAndWork(options))
      named.push([key, batch.open(['openat', parent, name, flags, 0])]);
  }
  for (const call of becomeOwner(sys, shift.root)) batch.add(call);
  const context = batch.open(['fsopen', 'overlay', CLOEXEC]);
  for (const [key, tree] of named) batch.add(['fsconfig', context, FSCONFIG.SET_FD, key, null, tree]);
  for (const [key, value] of [...fixed, ['source', 'overlay']] as const)
    batch.add(['fsconfig', context, FSCONFIG.SET_STRING, key, value, 0]);
  batch.add(['fsconfig', context, FSCONFIG.CMD_CREATE, null, null, 0]);
  const mount = batch.add(['fsmount', context, CLOEXEC, 0]);
  batch.closeAll();
  return { batch, mount };
}

/** Older: the layers are attached in a mount namespace that ends with the thread, and named there. */
function byNamespace({ sys, options, shift, fixed }: Request): { batch: Batch; mount: ResultOf } {
  const batch = new Batch();
  batch.add(['unshare', CLONE_NEWNS]);
  batch.add(['mount', null, '/', null, MS_REC_PRIVATE, null]);
  const { lower, parent } = openLayers(batch, options, shift.userns);
  batch.add(['mount', 'none', SCRATCH, 'tmpfs', 0, 'size=1m,mode=700']);
  batch.add(['chdir', SCRATCH]);
  const attach = (tree: ResultOf, name: string): void => {
    batch.add(['mkdirat', AT.FDCWD, name, 0o700]);
    batch.add(['move_mount', tree, '', AT.FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH]);
  };
  for (const [index, tree] of lower.entries()) attach(tree, String(index));
  if (parent !== null) attach(parent, 'u');
  batch.add(['mkdirat', AT.FDCWD, 'm', 0o700]);
  for (const call of becomeOwner(sys, shift.root)) batch.add(call);
  const settings = [
    ['lowerdir', lower.map((_, index) => String(index)).join(':')],
    ...upperAndWork(options).map(([key, name]) => [key, `u/${name}`]),
    ...fixed,
  ];
  const text = settings.map((setting) => setting.join('=')).join(',');
  batch.add(['mount', 'overlay', 'm', 'overlay', 0, text]);
  const mount = batch.add(['open_tree', AT.FDCWD, 'm', OPEN_TREE_CLONE | O.CLOEXEC]);
  batch.closeAll();
  return { batch, mount };
}

async function perform(sys: Sys, { batch, mount }: { batch: Batch; mount: ResultOf }): Promise<number> {
  const results = await sys.onOwnThread(batch.calls);
  const made = results[mount[0]] ?? 0;
  if (made >= 0) return made;
  const failed = results.findIndex((result) => result < 0);
  const call = batch.calls[failed];
  const path = call?.slice(1).find((argument) => typeof argument === 'string' && argument !== '');
  return check(results[failed] ?? made, call?.[0] ?? 'overlay', typeof path === 'string' ? path : 'overlay');
}

export interface ShiftedOverlays {
  mount(options: OverlayOptions, shift: IdShift): Promise<number>;
}

/** `oldWay`: as on kernels that take no descriptors of layers. */
export function createShiftedOverlays(sys: Sys, fixed: FixedOptions, oldWay = false): ShiftedOverlays {
  let takesDescriptors = !oldWay;
  return {
    async mount(options, shift) {
      const request = { sys, options, shift, fixed };
      if (takesDescriptors) {
        try {
          return await perform(sys, byDescriptors(request));
        } catch (error) {
          if (!isKernelError(error, 'EINVAL', 'EOPNOTSUPP')) throw error;
        }
      }
      const mount = await perform(sys, byNamespace(request));
      takesDescriptors = false;
      return mount;
    },
  };
}
