import { buildRuntimeSpec } from '#runtime/spec.ts';
import { joined } from '../normalize/modes.ts';
import type { ContainerRecord } from '../record.ts';
import type { Room } from '../room.ts';
import { ACCOUNT_FILES, findInput, findMachine, taskOf, userOf, userWish } from './findings.ts';
import { remapOf } from './user-namespace.ts';

const NOBODY = { network: null, pid: null, ipc: null };

/**
 * Makes spec and plan while create waits for the disk, so that the start finds them made. What it goes by may
 * be wrong by then, so the start finds out everything again and compares. Nothing of a container is made.
 */
export async function draftStart(room: Room, record: ContainerRecord): Promise<void> {
  const { deps, drafts, imageTrees } = room;
  const { NetworkMode, PidMode, IpcMode } = record.hostConfig;
  if ([NetworkMode, PidMode, IpcMode].some((mode) => joined(mode) !== null)) return;
  if (remapOf(deps, record.hostConfig) !== null) return;
  const files = imageTrees.knownFiles(record.chainId ?? '', ACCOUNT_FILES);
  if (files === null) return;
  try {
    const found = { user: userOf(files, userWish(record)), ...(await findMachine(record.hostConfig)) };
    const input = findInput(room, record, { ...found, joinedIds: NOBODY });
    const spec = buildRuntimeSpec(input);
    deps.tasks.expect({ ...taskOf(room, record, input), spec, ownNetwork: NetworkMode !== 'host' });
    drafts.keep(record.id, input, spec);
  } catch {
    // The start says what is wrong.
  }
}
