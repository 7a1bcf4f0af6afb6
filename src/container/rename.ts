import * as messages from '#api/messages.ts';
import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { checkName } from './record/names.ts';
import { tell, type Room } from './room.ts';
import { transition } from './state.ts';

/** Two flushes; both names are held until they are done. Errors: `invalidArgument`, `conflict`. */
export async function renameContainer(room: Room, reference: string, newName: string): Promise<void> {
  const { ledger, deps } = room;
  if (newName === '') throw new EngineError('invalidArgument', messages.renameNoName());
  await ledger.locked(reference, async (entry) => {
    transition(entry.record, 'rename');
    const { id, name: oldName } = entry.record;
    const plain = newName.startsWith('/') ? newName.slice(1) : newName;
    if (plain === oldName) throw new EngineError('invalidArgument', messages.renameSameName());
    try {
      checkName(`/${plain}`);
      ledger.names.reserve(plain, id);
    } catch (error) {
      throw new EngineError(
        isEngineError(error) ? error.kind : 'internal',
        messages.renameFailed(errorMessage(error)),
      );
    }
    entry.record = { ...entry.record, name: plain };
    try {
      await ledger.commit(entry);
    } catch (error) {
      entry.record = { ...entry.record, name: oldName };
      ledger.names.release(plain, id);
      throw error;
    }
    ledger.names.release(oldName, id);
    deps.networks.sandbox.renamed(id, plain);
    tell(room, entry, { action: 'rename', attributes: { oldName: `/${oldName}` } });
  });
}
