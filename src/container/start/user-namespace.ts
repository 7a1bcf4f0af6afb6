import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { Owner } from '#base/id-mapping.ts';
import type { UsernsMode } from '#runtime/spec.ts';
import type { RootfsShift } from '#storage/snapshotter.ts';
import { joined } from '../normalize/modes.ts';
import type { ContainerDeps, UserNamespacePort } from '../ports.ts';
import type { ContainerRecord, HostConfig } from '../record.ts';
import type { SpecFindings } from './spec-input.ts';

const HOST_ROOT: Owner = { uid: 0, gid: 0 };

type Settings = Pick<ContainerDeps, 'userNamespaces'>;

/** What gives a container its user namespace; null when that is the host's. */
export function remapOf(deps: Settings, host: Pick<HostConfig, 'UsernsMode'>): UserNamespacePort | null {
  return host.UsernsMode === 'host' ? null : (deps.userNamespaces ?? null);
}

/** Errors: `invalidArgument` with the reference's texts, for what needs rights on the host. */
export function checkRemapped(deps: Settings, host: HostConfig): void {
  if (remapOf(deps, host) === null) return;
  const refused = (text: string): EngineError => new EngineError('invalidArgument', text);
  if (host.Privileged) throw refused(messages.privilegedInUserNamespace());
  if (host.NetworkMode === 'host') throw refused(messages.hostNetworkInUserNamespace());
  if (host.PidMode === 'host') throw refused(messages.hostPidInUserNamespace());
}

/** The user namespace of one start. Whoever made it closes it; the container's processes keep it. */
export interface StartNamespace {
  /** Null: the host's. */
  readonly shift: RootfsShift | null;
  /** Root in the container, in the host's ids. */
  readonly root: Owner;
  /** Says that it is worked with until then. */
  during<T>(work: Promise<T>): Promise<T>;
  /** As soon as nothing works with it. */
  close(): void;
}

export async function openNamespace(deps: Settings, record: ContainerRecord): Promise<StartNamespace> {
  const port = remapOf(deps, record.hostConfig);
  if (port === null) {
    return { shift: null, root: HOST_ROOT, during: (work) => work, close: () => undefined };
  }
  // The settings may have changed since the container was made.
  checkRemapped(deps, record.hostConfig);
  const userns = await port.create();
  const works: Promise<unknown>[] = [];
  return {
    shift: { userns, root: port.root },
    root: port.root,
    during: (work) => {
      works.push(work);
      return work;
    },
    close: () => void Promise.allSettled(works).then(() => port.close(userns)),
  };
}

/** Who shares a namespace with another container shares the one that owns it, too. */
export function usernsMode(
  deps: Settings,
  record: ContainerRecord,
  ids: SpecFindings['joinedIds'],
): UsernsMode {
  const port = remapOf(deps, record.hostConfig);
  if (port === null) return { mode: 'host' };
  const { NetworkMode, PidMode, IpcMode } = record.hostConfig;
  const donors = [
    joined(NetworkMode) === null ? null : ids.network,
    joined(PidMode) === null ? null : ids.pid,
    joined(IpcMode) === null ? null : ids.ipc,
  ];
  const id = donors.find((donor) => donor !== null) ?? null;
  const { mappings } = port;
  return id === null ? { mode: 'private', mappings } : { mode: 'container', id, mappings };
}
