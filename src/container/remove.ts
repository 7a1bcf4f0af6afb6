import * as messages from '#api/messages.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { RemoveRequest } from './container-service.ts';
import { SIGKILL } from '#base/signals.ts';
import type { Entry } from './record/ledger.ts';
import { tell, type Room } from './room.ts';
import { hasProcess, transition } from './state.ts';
import { ended, within } from './run-end.ts';

/** A killed process that does not end within this is stuck in the kernel. */
const KILL_WAIT_MS = 10_000;
/** How long a start that is on may go on before a forced removal gives it up. */
const START_PATIENCE_MS = 3000;

/** One flush. Errors: `conflict` while it runs (without `force`) or is being removed already. */
export async function removeContainer(room: Room, reference: string, request: RemoveRequest): Promise<void> {
  const { ledger } = room;
  const entry = ledger.find(reference);
  if (request.link)
    throw new EngineError('notImplemented', 'links between containers are not available in this engine');
  if (entry.removing) throw new EngineError('conflict', messages.removalInProgress(reference));
  transition(entry.record, request.force ? 'remove-forced' : 'remove');
  entry.removing = true;
  try {
    if (request.force) await killForRemoval(room, entry);
    await ledger.locks.run(entry.record.id, async () => {
      // With auto-remove the exit path was faster.
      if (entry.buried) return;
      transition(entry.record, request.force ? 'remove-forced' : 'remove');
      await removeLocked(room, entry, { volumes: request.volumes, flushed: true });
    });
  } finally {
    entry.removing = false;
  }
}

async function killForRemoval(room: Room, entry: Entry): Promise<void> {
  const { deps, ledger } = room;
  const marked = new EngineError('conflict', messages.startMarkedForRemoval());
  const impatient = setTimeout(() => entry.starting?.abort(marked), START_PATIENCE_MS);
  const end = await ledger.locks.run(entry.record.id, async () => {
    clearTimeout(impatient);
    if (entry.restartTimer !== null) clearTimeout(entry.restartTimer);
    entry.restartTimer = null;
    entry.stopRequested = true;
    if (!hasProcess(entry.record.state.status)) return null;
    const wasPaused = entry.record.state.status === 'paused';
    const waiting = ended(entry);
    await deps.tasks
      .signal(entry.record.id, SIGKILL)
      .catch((error: unknown) => deps.log.debug('kill for removal', { reason: errorMessage(error) }));
    if (wasPaused) await deps.tasks.resume(entry.record.id);
    tell(room, entry, { action: 'kill', attributes: { signal: String(SIGKILL) } });
    return { waiting };
  });
  if (end === null) return;
  if ((await within(end.waiting, KILL_WAIT_MS)) === null) {
    throw new EngineError(
      'internal',
      `cannot remove container "${entry.record.name}": could not kill: tried to kill container, but did not receive an exit event`,
    );
  }
}

interface RemoveWish {
  readonly volumes: boolean;
  readonly flushed: boolean;
  /**
   * Given: it is gone for everybody once the tombstone stands, and this is called; what is left of it goes
   * afterwards.
   */
  readonly onGone?: () => void;
}

/** Under the container's lock, without a process. The tombstone first: from then on it never comes back. */
export async function removeLocked(room: Room, entry: Entry, wish: RemoveWish): Promise<void> {
  const { deps, ledger } = room;
  const { id } = entry.record;
  await ledger.bury(entry, wish);
  if (entry.restartTimer !== null) clearTimeout(entry.restartTimer);
  entry.phase = 'none';
  if (wish.onGone !== undefined) {
    leave(room, entry);
    wish.onGone();
  }
  await attempt(room, entry, () => ledger.running.remove(id));
  await attempt(room, entry, () => deps.tasks.delete(id));
  const isErased = await attempt(room, entry, () => deps.snapshots.removeWritable(id));
  await attempt(room, entry, () =>
    deps.volumes.release(id, { mounts: entry.record.mounts, removeAnonymous: wish.volumes }),
  );
  // The tombstone stays until nothing is left to find by it.
  if (isErased) await attempt(room, entry, () => ledger.store.erase(id));
  if (wish.onGone === undefined) leave(room, entry);
}

/** From here on nobody finds it, and its name is free. */
function leave(room: Room, entry: Entry): void {
  room.deps.snapshots.disown(entry.record.id);
  room.ledger.remove(entry);
  room.execs.forget(entry.record.id);
  tell(room, entry, { action: 'destroy' });
  for (const notify of [...entry.onRemoved]) notify('');
}

async function attempt(room: Pick<Room, 'deps'>, entry: Entry, step: () => Promise<void>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    room.deps.log.error('a step of a removal failed; boot finishes it', {
      id: entry.record.id,
      reason: errorMessage(error),
    });
    return false;
  }
}
