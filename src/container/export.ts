import { containerBeingRemoved, deadContainer, noSuchContainer } from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { TreeOwner } from '#storage/tar-tree.ts';
import type { ContainerRecord } from './record.ts';
import type { Entry } from './record/ledger.ts';
import { tell, type Room } from './room.ts';

/** What a reader of trees has to know about a container. */
export function treeOwner({ id, chainId }: ContainerRecord): TreeOwner {
  return { id, parent: chainId as ChainId | null };
}

/** Errors: `notFound`, `conflict` for one that is on its way out. */
export function findReadable(room: Pick<Room, 'ledger'>, reference: string, action: string): Entry {
  const entry = room.ledger.find(reference);
  const { id, state } = entry.record;
  if (state.status === 'dead') throw new EngineError('conflict', deadContainer(id, action));
  if (entry.removing || state.status === 'removing')
    throw new EngineError('conflict', containerBeingRemoved(id, action));
  return entry;
}

/** Errors: `notFound` when the container went while its files were read: they are not all there. */
export function checkStillThere(room: Room, entry: Entry): void {
  const { id } = entry.record;
  if (room.ledger.byId(id) !== entry || entry.removing || !room.deps.snapshots.hasWritable(id))
    throw new EngineError('notFound', noSuchContainer(id));
}

/** Errors: `notFound`, `conflict`; later those of reading. */
export async function exportContainer(room: Room, reference: string): Promise<AsyncGenerator<Buffer>> {
  const entry = findReadable(room, reference, 'export');
  return exported(room, entry);
}

async function* exported(room: Room, entry: Entry): AsyncGenerator<Buffer> {
  yield* room.deps.treeReader.archive(treeOwner(entry.record));
  checkStillThere(room, entry);
  tell(room, entry, { action: 'export' });
}
