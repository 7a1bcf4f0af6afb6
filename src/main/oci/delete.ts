import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { errorMessage } from '#base/errors.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { runHooks } from './hooks.ts';
import { Failure } from './messages.ts';
import { isAlive, type Saved, shownState, statusOf } from './state.ts';

const KILL_TRIES = 100;
const KILL_PAUSE_MS = 100;

async function killInit({ kernel }: Pick<Context, 'kernel'>, saved: Saved): Promise<void> {
  for (let tries = 0; tries < KILL_TRIES; tries++) {
    if (!isAlive(kernel.processes, saved)) return;
    kernel.processes.signal(saved, constants.signals.SIGKILL);
    if (saved.cgroup !== '/' && kernel.cgroups().isFrozen(saved.cgroup))
      await kernel.cgroups().thaw(saved.cgroup);
    await pause(tries === 0 ? 1 : Math.min(tries, KILL_PAUSE_MS));
  }
  throw new Failure('container init still running');
}

/** Kills what is left in its cgroup, and removes it. The container's process has ended. */
export async function destroy(
  context: Pick<Context, 'kernel' | 'store' | 'messages'>,
  saved: Saved,
): Promise<void> {
  const { kernel, store, messages } = context;
  if (saved.ownsCgroup && saved.cgroup !== '/') {
    const cgroups = kernel.cgroups();
    if (cgroups.exists(saved.cgroup)) {
      if (cgroups.processes(saved.cgroup).length > 0) await cgroups.kill(saved.cgroup);
      await cgroups.remove(saved.cgroup);
    }
  }
  store.forget(saved.id);
  const hooks = saved.spec.hooks?.poststop ?? [];
  try {
    await runHooks(kernel, hooks, {
      state: shownState(saved, 'stopped'),
      directory: store.root,
      kind: 'poststop',
    });
  } catch (error) {
    messages.warn(errorMessage(error));
  }
}

export async function remove(context: Context): Promise<void> {
  const { kernel, store, flags } = context;
  const id = containerId(context);
  const force = flags.on('force');
  const release = await store.lock(id);
  if (release === null) {
    if (force) return;
    throw new Failure('container does not exist');
  }
  try {
    const saved = store.find(id);
    if (saved === null) {
      // A creation that was cut off before it had made anything.
      if (!force) throw new Failure('container does not exist');
      return store.forget(id);
    }
    const status = statusOf(kernel, saved);
    if (status === 'created' || force) await killInit(context, saved);
    else if (status !== 'stopped')
      throw new Failure(`cannot delete container ${id} that is not stopped: ${status}`);
    await destroy(context, saved);
  } finally {
    release();
  }
}
