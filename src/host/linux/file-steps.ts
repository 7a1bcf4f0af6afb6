import type { FileStep, Leaving } from '#base/file-steps.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { AT, O } from './file-paths.ts';
import type { Call, Operation } from './sys.ts';

const SPECIAL_BITS = 0o7000;

/** `base` is the index of the first call in the batch. */
function callsOf(step: FileStep, base: number): Call[] {
  switch (step.kind) {
    case 'directory': {
      const { path, mode, owner } = step;
      const calls: Call[] = [['mkdirat', AT.FDCWD, path, mode & 0o777]];
      if (owner !== undefined) calls.push(['fchownat', AT.FDCWD, path, owner.uid, owner.gid, 0]);
      if (owner !== undefined || (mode & (process.umask() | SPECIAL_BITS)) !== 0)
        calls.push(['fchmodat', AT.FDCWD, path, mode]);
      return calls;
    }
    case 'file': {
      const bytes = Buffer.from(step.content);
      const flags = O.WRONLY | O.CREAT | O.TRUNC | O.CLOEXEC;
      return [
        ['openat', AT.FDCWD, step.path, flags, step.mode],
        ...(step.owner === undefined ? [] : [['fchown', [base], step.owner.uid, step.owner.gid] as const]),
        ['write', [base], bytes, bytes.length],
        ...((step.mode & process.umask()) === 0 ? [] : [['fchmod', [base], step.mode] as const]),
        ...(step.flush === true ? [['fsync', [base]] as const] : []),
        ['close', [base]],
      ];
    }
    case 'symlink':
      return [['symlinkat', step.target, AT.FDCWD, step.path]];
    case 'rename':
      return [['renameat2', AT.FDCWD, step.from, AT.FDCWD, step.to, 0]];
    case 'flushDirectory':
      return [
        ['openat', AT.FDCWD, step.path, O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0],
        ['fsync', [base]],
        ['close', [base]],
      ];
    default:
      return step satisfies never;
  }
}

/** All steps as one batch on one thread. */
export function* carryOutSteps(steps: readonly FileStep[]): Operation<void> {
  const calls: Call[] = [['chain']];
  const owners: (FileStep | null)[] = [null];
  for (const step of steps) {
    for (const call of callsOf(step, calls.length)) {
      calls.push(call);
      owners.push(step);
    }
  }
  const results = yield calls;
  for (const [index, result] of results.entries()) {
    const call = calls[index];
    const step = owners[index];
    if (call === undefined || step === null || step === undefined) continue;
    const path = step.kind === 'rename' ? step.to : step.path;
    const [name] = call;
    if (result < 0) throw kernelError(-result, name, path);
    // A write that was cut short has run into a full disk or a limit; the kernel says so the next time only.
    if (name === 'write' && result !== call[3]) throw kernelError(errnoNumber('ENOSPC'), name, path);
  }
}

/** All of it in one batch on one thread. */
export function* discard(leaving: readonly Leaving[]): Operation<boolean> {
  const results = yield leaving.map(
    ({ kind, path }): Call => ['unlinkat', AT.FDCWD, path, kind === 'directory' ? AT.REMOVEDIR : 0],
  );
  return results.every((result) => result >= 0 || result === -errnoNumber('ENOENT'));
}
