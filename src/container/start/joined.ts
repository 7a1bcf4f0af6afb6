import * as messages from '#api/messages.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';
import { joined } from '../normalize/modes.ts';
import type { ContainerRecord, HostConfig } from '../record.ts';
import type { Entry, Ledger } from '../record/ledger.ts';
import { hasProcess } from '../state.ts';

type Finder = Pick<Ledger, 'find'>;

/** Full ids; null where nothing is joined. */
export type Joined = Readonly<Record<'network' | 'pid' | 'ipc', ContainerId | null>>;

/**
 * At create the names of other containers become ids, so that they mean the same ones for ever. Errors:
 * `invalidArgument` for an unknown one, but not for a network: that is an error of the start, as in the
 * reference.
 */
export function withJoinedIds(ledger: Finder, host: HostConfig): HostConfig {
  const byId = (mode: string): string => {
    const reference = joined(mode);
    return reference === null ? mode : `container:${ledger.find(reference).record.id}`;
  };
  let { NetworkMode } = host;
  try {
    NetworkMode = byId(NetworkMode);
  } catch {
    // Said at the start.
  }
  try {
    return { ...host, NetworkMode, IpcMode: byId(host.IpcMode), PidMode: byId(host.PidMode) };
  } catch (error) {
    throw new EngineError('invalidArgument', errorMessage(error));
  }
}

/** Containers whose namespaces this one joins. Errors: the reference's texts. */
export function findJoined(ledger: Finder, record: ContainerRecord): Joined {
  const { NetworkMode, PidMode, IpcMode } = record.hostConfig;
  return {
    network: networkOf(ledger, NetworkMode),
    pid: namespaceOf(ledger, 'PID', PidMode)?.record.id ?? null,
    ipc: ipcOf(ledger, IpcMode),
  };
}

function networkOf(ledger: Finder, mode: string): ContainerId | null {
  const reference = joined(mode);
  if (reference === null) return null;
  let other: ContainerRecord;
  try {
    other = ledger.find(reference).record;
  } catch (error) {
    throw new EngineError('internal', `joining network namespace of container: ${errorMessage(error)}`);
  }
  const { status } = other.state;
  if (hasProcess(status)) return other.id;
  throw new EngineError(
    'conflict',
    `cannot join network namespace of a non running container: container ${other.name} is ${status}`,
  );
}

function namespaceOf(ledger: Finder, name: string, mode: string): Entry | null {
  const reference = joined(mode);
  if (reference === null) return null;
  const other = ledger.find(reference);
  const { id, state } = other.record;
  if (hasProcess(state.status)) return other;
  const why =
    state.status === 'restarting' ? messages.containerRestarting(id) : messages.containerNotRunning(id);
  throw new EngineError('conflict', `failed to join ${name} namespace: ${why}`);
}

function ipcOf(ledger: Finder, mode: string): ContainerId | null {
  const other = namespaceOf(ledger, 'IPC', mode);
  if (other === null) return null;
  const { id, hostConfig } = other.record;
  if (hostConfig.IpcMode === 'shareable') return id;
  throw new EngineError(
    'invalidArgument',
    `failed to join IPC namespace: container ${id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  );
}
