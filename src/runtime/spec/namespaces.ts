import type { IdMapping } from '#base/id-mapping.ts';
import type { SpecIdMapping, SpecLinux, SpecNamespace, SpecNamespaceType } from '#oci/runtime-spec.ts';
import type { SpecInput } from '../spec-input.ts';

/** Prefix of a namespace path that stands for another task's namespace until the start binds it. */
export const TASK_NAMESPACE = 'task:';
/** Source of a mount that stands for /dev/shm of the task whose IPC namespace is joined. */
export const TASK_SHM = 'task:shm';

type Mode = { readonly mode: string; readonly id?: string };

/** The mount namespace is always the container's own; a host namespace is one that the list does not name. */
export function buildNamespaces(input: SpecInput): SpecNamespace[] {
  const list: SpecNamespace[] = [{ type: 'mount' }];
  const add = (type: SpecNamespaceType, mode: Mode): void => {
    if (mode.mode === 'host') return;
    if (mode.mode === 'container') list.push({ type, path: `${TASK_NAMESPACE}${mode.id}` });
    else list.push({ type });
  };
  add('network', input.network);
  add('uts', { mode: input.uts });
  add('pid', input.pid);
  add('ipc', input.ipc);
  if (input.userns !== undefined) add('user', input.userns);
  if (input.cgroupNamespace === 'private') list.push({ type: 'cgroup' });
  return list;
}

export function isRemapped({ userns }: Pick<SpecInput, 'userns'>): boolean {
  return userns !== undefined && userns.mode !== 'host';
}

/**
 * Given although the namespace is joined by its path, where it has them already: runtimes that join one
 * compute with them.
 */
export function idMappings({ userns }: SpecInput): Pick<SpecLinux, 'uidMappings' | 'gidMappings'> {
  if (userns === undefined || userns.mode === 'host') return {};
  const list = (mappings: readonly IdMapping[]): SpecIdMapping[] =>
    mappings.map(({ containerId, hostId, size }) => ({ containerID: containerId, hostID: hostId, size }));
  return { uidMappings: list(userns.mappings.uids), gidMappings: list(userns.mappings.gids) };
}
