import type { TerminalSize } from './ports.ts';
import { tell, type Room } from './room.ts';
import { transition } from './state.ts';

/** Errors: `conflict` when it does not run. */
export async function resizeContainer(room: Room, reference: string, size: TerminalSize): Promise<void> {
  const entry = room.ledger.find(reference);
  transition(entry.record, 'resize');
  await room.deps.tasks.resize(entry.record.id, null, size);
  tell(room, entry, {
    action: 'resize',
    attributes: { height: String(size.height), width: String(size.width) },
  });
}
