import type { SpecNamespaceType, SpecProcess } from '#oci/runtime-spec.ts';
import { TASK_NAMESPACE, TASK_SHM } from '../spec/namespaces.ts';
import type { ContainerSpec } from '../spec.ts';
import type { StartRequest } from '../task.ts';

/*
 * A spec says `task:<id>` where another task's namespace is meant, and nothing where the shim's network
 * namespace is. Here it gets the names of this very start. Namespaces are given by descriptors that the shim
 * or this process holds: no path of a bare pid outlives its process.
 */

export interface Bindings {
  readonly open: (id: string, type: SpecNamespaceType) => string;
  /** Path of the network namespace that was made for the container; absent: the spec's entry stays. */
  readonly netnsPath?: string | undefined;
  /** Source for the mount of the donor's /dev/shm; absent: it stays as it is. */
  readonly shmPath?: string;
}

export interface BoundSpec {
  readonly spec: ContainerSpec;
  /** Path of the mount namespace whose /dev/shm the container shares. */
  readonly shmOf: string | undefined;
}

export type BindRequest = Pick<StartRequest, 'spec' | 'usernsFd' | 'terminal' | 'consoleSize'>;

export function bindSpec(request: BindRequest, bindings: Bindings): BoundSpec {
  const { spec } = request;
  const { open, netnsPath, shmPath } = bindings;
  const userns = request.usernsFd === undefined ? undefined : `/proc/${process.pid}/fd/${request.usernsFd}`;
  const namespaces = (spec.linux.namespaces ?? []).map((entry) => {
    if (entry.path?.startsWith(TASK_NAMESPACE)) {
      return { type: entry.type, path: open(entry.path.slice(TASK_NAMESPACE.length), entry.type) };
    }
    if (entry.path !== undefined) return entry;
    const path = entry.type === 'network' ? netnsPath : entry.type === 'user' ? userns : undefined;
    return path === undefined ? entry : { type: entry.type, path };
  });
  const mounts = spec.mounts.map((mount) =>
    mount.source === TASK_SHM && shmPath !== undefined ? { ...mount, source: shmPath } : mount,
  );
  const donor = spec.mounts.some((mount) => mount.source === TASK_SHM) ? joinedTask(spec, 'ipc') : null;
  return {
    spec: { ...spec, process: sized(spec.process, request), mounts, linux: { ...spec.linux, namespaces } },
    shmOf: donor === null ? undefined : open(donor, 'mount'),
  };
}

function joinedTask(spec: ContainerSpec, type: SpecNamespaceType): string | null {
  const path = spec.linux.namespaces?.find((entry) => entry.type === type)?.path;
  return path?.startsWith(TASK_NAMESPACE) === true ? path.slice(TASK_NAMESPACE.length) : null;
}

/** The terminal has its size before the process sees it; the shim could only follow. */
export function sized(
  process: SpecProcess,
  request: Pick<StartRequest, 'terminal' | 'consoleSize'>,
): SpecProcess {
  const { terminal, consoleSize } = request;
  if (!terminal || consoleSize === undefined) return process;
  return { ...process, consoleSize: { height: consoleSize.height, width: consoleSize.width } };
}
