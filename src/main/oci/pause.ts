import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { Failure } from './messages.ts';
import { statusOf } from './state.ts';

export function pause({ kernel, store, words }: Context): Promise<void> {
  return store.locked(containerId({ words }), async (saved) => {
    const status = statusOf(kernel, saved);
    if (status !== 'running' && status !== 'created')
      throw new Failure(`container not running or created: ${status}`);
    refuseTop(saved.cgroup);
    await kernel.cgroups().freeze(saved.cgroup);
  });
}

export function resume({ kernel, store, words }: Context): Promise<void> {
  return store.locked(containerId({ words }), async (saved) => {
    if (statusOf(kernel, saved) !== 'paused') throw new Failure('container not paused');
    await kernel.cgroups().thaw(saved.cgroup);
  });
}

/** The top of a hierarchy is everybody's. */
export function refuseTop(cgroup: string): void {
  if (cgroup === '/') throw new Failure('the container is in the top cgroup, which is not its own');
}
