import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { errorCode, errorMessage } from '#base/errors.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { runHooks } from './hooks.ts';
import { Failure } from './messages.ts';
import { fifoOf, type Saved, shownState, statusOf } from './state.ts';

/** The process waits for a byte in the FIFO; without a reader it is gone. */
export function release(saved: Saved): void {
  const path = fifoOf(saved.directory);
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENXIO') throw new Failure('container process is already dead');
    throw error;
  }
  try {
    writeSync(fd, '0');
  } finally {
    closeSync(fd);
  }
  rmSync(path, { force: true });
}

/** Lets it go and runs the poststart hooks; one that fails ends the container. */
export async function startCreated(context: Pick<Context, 'kernel'>, saved: Saved): Promise<void> {
  release(saved);
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
