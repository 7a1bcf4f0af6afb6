import type { Kernel } from '#host/kernel.ts';
import type { SpecResources } from '#oci/runtime-spec.ts';
import { EngineError } from '#base/errors.ts';
import { resourceWrites } from './launch-plan/resources.ts';
import { readResources } from './launch-plan/validate-linux.ts';
import { applyWrites } from './task/apply-limits.ts';

type Cgroups = Pick<Kernel['cgroups'], 'version' | 'read' | 'write'>;

/**
 * A document of resources, as `linux.resources` has them, for a container that runs. Errors:
 * `invalidArgument` with the member's path.
 */
export function readResourceUpdate(json: unknown): SpecResources {
  const { devices = [], ...resources } = readResources(json, 'resources');
  if (devices.length > 0) throw new EngineError('invalidArgument', 'resources.devices: cannot be updated');
  return resources;
}

/** Memory with swap and memory alone make sense together only: what is not changed is said again. */
function completed(changed: SpecResources, known: SpecResources): SpecResources {
  const { swap, limit } = changed.memory ?? {};
  if (swap === undefined || limit !== undefined || !known.memory?.limit) return changed;
  return { ...changed, memory: { ...changed.memory, limit: known.memory.limit } };
}

/**
 * Gives the cgroup of a running container what `changed` names, all of it or nothing. `known`: what it has.
 * Errors: `invalidArgument` with the JSON path, and the kernel's.
 */
export async function updateResources(
  cgroups: Cgroups,
  path: string,
  { changed, known }: { readonly changed: SpecResources; readonly known: SpecResources },
): Promise<void> {
  const limit = Number(cgroups.read(path, 'memory', 'memory.limit_in_bytes') ?? 0);
  const wanted = resourceWrites(cgroups.version, completed(changed, known), { memoryLimitNow: limit });
  await applyWrites(cgroups, path, wanted);
}
