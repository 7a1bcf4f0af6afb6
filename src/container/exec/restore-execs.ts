import type { Entry } from '../record/ledger.ts';
import type { Room } from '../room.ts';

/**
 * After a restart of the daemon: the execs of a container that ran on, each as its shim tells it. One that
 * the shim never heard of is as it was after its creation.
 */
export async function restoreExecs(room: Pick<Room, 'deps' | 'execs'>, entry: Entry): Promise<void> {
  const { execs, deps } = room;
  const { id } = entry.record;
  const known = new Map(deps.tasks.execs(id).map((state) => [state.execId, state]));
  for (const { failedWith, ...stored } of await execs.files.load(id)) {
    const exec = execs.restore(stored);
    const state = known.get(exec.id);
    exec.started = state !== undefined || failedWith !== null;
    exec.pid = state?.pid ?? 0;
    if (state !== undefined && state.exit === undefined) exec.running = true;
    const exitCode = state?.exit?.exitCode ?? failedWith;
    if (exitCode !== null && !exec.running) execs.end(exec, exitCode);
  }
}

/** Files of execs whose container does not run. */
export async function sweepExecs(room: Pick<Room, 'deps' | 'execs'>): Promise<void> {
  const { execs, deps } = room;
  for (const id of await execs.files.containers())
    if (deps.tasks.get(id) === undefined) await execs.files.removeAll(id);
}
