import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { errorCode, errorMessage } from '#base/errors.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { runHooks } from './hooks.ts';
import { Failure } from './messages.ts';
import { fifoOf, type Saved, shownState, statusOf } from './state.ts';

const SIGKILL = 9;

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

/**
 * The poststart hooks; one that fails ends the container. Without the container's lock: a hook may use this
 * very command line.
 */
export async function runPoststart({ kernel }: Pick<Context, 'kernel'>, saved: Saved): Promise<void> {
  const hooks = saved.spec.hooks?.poststart ?? [];
  if (hooks.length === 0) return;
  const state = shownState(saved, 'running');
  try {
    await runHooks(kernel, hooks, { state, directory: saved.directory, kind: 'poststart' });
  } catch (error) {
    kernel.processes.signal(saved, SIGKILL);
    throw new Failure(errorMessage(error), 1, { cause: error });
  }
}

export async function start(context: Context): Promise<void> {
  const { kernel, store } = context;
  const started = await store.locked(containerId(context), (saved) => {
    const status = statusOf(kernel, saved);
    if (status === 'stopped') throw new Failure('cannot start a container that has stopped');
    if (status !== 'created') throw new Failure('cannot start an already running container');
    release(saved);
    return Promise.resolve(saved);
  });
  await runPoststart(context, started);
}
