import { tell, type Room } from './room.ts';
import { transition } from './state.ts';

/** Errors: `conflict`. */
export async function pauseContainer(room: Room, reference: string): Promise<void> {
  const { ledger, deps } = room;
  await ledger.locked(reference, async (entry) => {
    const status = transition(entry.record, 'pause');
    await deps.tasks.pause(entry.record.id);
    ledger.setState(entry, { status });
    await ledger.writeRunning(entry, 'running', deps.facts.bootId);
    tell(room, entry, { action: 'pause' });
  });
}

/** Errors: `conflict`, `internal` when it is not paused. */
export async function unpauseContainer(room: Room, reference: string): Promise<void> {
  const { ledger, deps } = room;
  await ledger.locked(reference, async (entry) => {
    const status = transition(entry.record, 'unpause');
    await deps.tasks.resume(entry.record.id);
    ledger.setState(entry, { status });
    await ledger.writeRunning(entry, 'running', deps.facts.bootId);
    tell(room, entry, { action: 'unpause' });
  });
}
