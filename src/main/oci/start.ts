import { closeSync, constants, openSync, readSync, rmSync } from 'node:fs';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { errorCode, errorMessage } from '#base/errors.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { runHooks } from './hooks.ts';
import { Failure } from './messages.ts';
import { fifoOf, isAlive, type Saved, shownState, statusOf } from './state.ts';

const QUICK_LOOKS = 200;

/** A byte from the waiting process; null when nothing has come yet. */
function readByte(fd: number): number | null {
  try {
    return readSync(fd, Buffer.alloc(1)) > 0 ? 1 : null;
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return null;
    throw error;
  }
}

/** The process waits in opening the FIFO: opening its other end lets it go, its byte says that it went. */
export async function release({ kernel }: Pick<Context, 'kernel'>, saved: Saved): Promise<void> {
  const path = fifoOf(saved.directory);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    for (let looks = 0; readByte(fd) === null; looks++) {
      if (!isAlive(kernel.processes, saved) && readByte(fd) === null) {
        throw new Failure('container process is already dead');
      }
      await (looks < QUICK_LOOKS ? turn() : pause(1));
    }
  } finally {
    closeSync(fd);
  }
  rmSync(path, { force: true });
}

/** Lets it go and runs the poststart hooks; one that fails ends the container. */
export async function startCreated(context: Pick<Context, 'kernel'>, saved: Saved): Promise<void> {
  await release(context, saved);
  const hooks = saved.spec.hooks?.poststart ?? [];
  if (hooks.length === 0) return;
  const state = shownState(saved, 'running');
  try {
    await runHooks(context.kernel, hooks, { state, directory: saved.directory, kind: 'poststart' });
  } catch (error) {
    context.kernel.processes.signal(saved, 9);
    throw new Failure(errorMessage(error), 1, { cause: error });
  }
}

export function start(context: Context): Promise<void> {
  const { kernel, store } = context;
  return store.locked(containerId(context), async (saved) => {
    const status = statusOf(kernel, saved);
    if (status === 'stopped') throw new Failure('cannot start a container that has stopped');
    if (status !== 'created') throw new Failure('cannot start an already running container');
    await startCreated(context, saved);
  });
}
