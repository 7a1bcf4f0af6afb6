import { chmod, chown, mkdir, open, rename, rmdir, symlink, unlink } from 'node:fs/promises';
import { errorCode } from './errors.ts';
import type { Owner } from './id-mapping.ts';

/*
 * Small changes of our own files, one after the other, as data: whoever carries them out can do so in one go
 * on another thread, where each call of its own would cost a trip there and back.
 */

/** Paths are absolute and our own: links in them are followed. Modes are exact, whatever the umask. */
export type FileStep =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number; readonly owner?: Owner }
  /** New, or cut to nothing first. `flush`: on the disk before the next step. */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: string;
      readonly mode: number;
      readonly owner?: Owner;
      readonly flush?: boolean;
    }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'flushDirectory'; readonly path: string };

/** The first failure ends it and is thrown, with errno name as `code`; what was done before it stays. */
export type CarryOut = (steps: readonly FileStep[]) => Promise<void>;

export interface Leaving {
  readonly kind: 'file' | 'directory';
  readonly path: string;
}

/** Removes each, whatever became of those before; true when none is left. A directory has to be empty. */
export type Discard = (leaving: readonly Leaving[]) => Promise<boolean>;

export interface FilePort {
  readonly carryOut: CarryOut;
  readonly discard: Discard;
}

/** By node alone. */
export const PLAIN_FILES: FilePort = { carryOut: carryOutSteps, discard: discardAll };

async function discardAll(leaving: readonly Leaving[]): Promise<boolean> {
  let areGone = true;
  for (const { kind, path } of leaving) {
    await (kind === 'file' ? unlink : rmdir)(path).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') areGone = false;
    });
  }
  return areGone;
}

async function carryOutSteps(steps: readonly FileStep[]): Promise<void> {
  for (const step of steps) await carryOut(step);
}

async function carryOut(step: FileStep): Promise<void> {
  switch (step.kind) {
    case 'directory':
      await mkdir(step.path, { mode: step.mode });
      if (step.owner !== undefined) await chown(step.path, step.owner.uid, step.owner.gid);
      return await chmod(step.path, step.mode);
    case 'file': {
      await using file = await open(step.path, 'w', step.mode);
      if (step.owner !== undefined) await file.chown(step.owner.uid, step.owner.gid);
      if ((step.mode & process.umask()) !== 0) await file.chmod(step.mode);
      await file.writeFile(step.content);
      if (step.flush === true) await file.sync();
      return;
    }
    case 'symlink':
      return await symlink(step.target, step.path);
    case 'rename':
      return await rename(step.from, step.to);
    case 'flushDirectory': {
      await using directory = await open(step.path, 'r');
      return await directory.sync();
    }
    default:
      step satisfies never;
  }
}
