import type { StopRequest } from './container-service.ts';
import { tell, type Room } from './room.ts';
import { runLocked } from './start.ts';
import { awaitEnd, beginStop, stopSignal } from './stop.ts';
import { countsAsRunning, transition } from './state.ts';

/** Stops what runs, then starts. A container with auto-remove survives the end in between. */
export async function restartContainer(room: Room, reference: string, request: StopRequest): Promise<void> {
  const { ledger } = room;
  const stop = await ledger.locked(reference, async (entry) => {
    const signal = stopSignal(entry, request);
    if (!countsAsRunning(entry.record.state.status)) return { entry, end: null };
    entry.keepAfterExit = true;
    return { entry, end: await beginStop(room, entry, signal) };
  });
  const { entry } = stop;
  try {
    await awaitEnd(room, entry, { end: stop.end, timeoutSeconds: request.timeoutSeconds });
    await ledger.locked(entry.record.id, async (current) => {
      if (stop.end !== null) tell(room, current, { action: 'stop' });
      if (countsAsRunning(current.record.state.status)) return;
      transition(current.record, 'start');
      await runLocked(room, current);
    });
  } finally {
    entry.keepAfterExit = false;
  }
  tell(room, entry, { action: 'restart' });
}
