import type { JsonObject } from '#base/json.ts';
import { isEngineError } from '#base/errors.ts';
import { isFullId, type ContainerId } from '#base/ids.ts';
import { renderInspect } from './inspect/render.ts';
import { apparmorProfile } from './normalize/security.ts';
import { joined } from './normalize/modes.ts';
import type { ContainerRecord } from './record.ts';
import type { Room } from './room.ts';

/** Id of a network by its name; empty when there is none. */
export function networkIdOf(room: Pick<Room, 'deps'>): (name: string) => string {
  return (name) => {
    try {
      return room.deps.networks.inspect(name).Id;
    } catch (error) {
      if (isEngineError(error)) return '';
      throw error;
    }
  };
}

/** What the container wrote, and that plus its image. */
export async function sizesOf(
  room: Pick<Room, 'deps'>,
  record: ContainerRecord,
): Promise<{ writableBytes: number; rootfsBytes: number }> {
  const { snapshots, images } = room.deps;
  const writable = await snapshots.writableUsage(record.id).catch(() => ({ sizeBytes: 0 }));
  const image = images.get(record.imageId as Parameters<typeof images.get>[0]);
  return { writableBytes: writable.sizeBytes, rootfsBytes: writable.sizeBytes + (image?.sizeBytes ?? 0) };
}

function filesOwner(record: ContainerRecord): ContainerId {
  const donor = joined(record.hostConfig.NetworkMode);
  return donor !== null && isFullId(donor) ? (donor as ContainerId) : record.id;
}

export async function inspectContainer(
  room: Room,
  reference: string,
  options: { size: boolean; apiVersion: string },
): Promise<JsonObject> {
  const { ledger, execs } = room;
  const entry = ledger.find(reference);
  const { record } = entry;
  return renderInspect({
    record,
    sandbox: entry.sandbox,
    execIds: execs
      .ofContainer(record.id)
      .filter((exec) => exec.running)
      .map((exec) => exec.id),
    directory: ledger.store.directoryOf(record.id),
    filesDirectory: ledger.store.directoryOf(filesOwner(record)),
    graphDriver: graphDriver(room, record.id),
    networkIdOf: networkIdOf(room),
    sizes: options.size ? await sizesOf(room, record) : null,
    apiVersion: options.apiVersion,
    apparmorProfile: apparmorProfile(record.hostConfig, room.deps.facts.apparmor),
  });
}

function graphDriver(
  room: Pick<Room, 'deps'>,
  id: ContainerId,
): { name: string; data: Readonly<Record<string, string>> } {
  return room.deps.snapshots.graphDriverData({ container: id });
}
