import { findReadable, treeOwner } from './export.ts';
import type { Room } from './room.ts';

/** `FilesystemChange`s of the API as JSON text. Errors: `notFound`, `conflict`; later those of reading. */
export async function changesOfContainer(room: Room, reference: string): Promise<AsyncGenerator<Buffer>> {
  const { record } = findReadable(room, reference, 'diff');
  return room.deps.treeReader.changes(treeOwner(record));
}
