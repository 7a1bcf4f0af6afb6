import type { RuntimeSpec, SpecMount } from '#oci/runtime-spec.ts';
import { invalid, mountAttributes, type PlanBuilder } from './builder.ts';
import type { CgroupPlaces } from './cgroups.ts';
import type { LaunchContext } from './context.ts';
import { ATTR, PROPAGATION } from './kernel-numbers.ts';
import { changeOf, type MountOptions, propagationOf } from './mount-options.ts';
import type { Namespaces } from './namespaces.ts';

export interface MountScene {
  readonly spec: RuntimeSpec;
  readonly context: LaunchContext;
  readonly namespaces: Namespaces;
  readonly cgroups: CgroupPlaces;
  readonly root: number;
}

/** One mount of the spec, read. */
export interface PlannedMount {
  readonly mount: SpecMount;
  readonly options: MountOptions;
  /** `mounts[3]`. */
  readonly from: string;
  /** Absolute in the container, without `.` and `..`. */
  readonly target: string;
  readonly type: string;
}

/** `a=1,b` in one option is two of them. */
export function dataOptions(data: readonly string[]): string[] {
  return data.flatMap((option) => option.split(',')).filter((option) => option !== '');
}

/** Attributes that a bind does not name are off, as if it was a mount of its own; access time is kept. */
export function bindChange(options: MountOptions): { set: number; clear: number } | null {
  if (options.set === 0 && options.cleared === 0) return null;
  const all = ATTR.readonly | ATTR.nosuid | ATTR.nodev | ATTR.noexec | ATTR.nosymfollow;
  const { set, clear } = changeOf(options.set, options.cleared);
  return { set, clear: clear | (all & ~set) };
}

/** How the host's mounts and the container's shall know of each other; as a slave, when nothing is said. */
export function rootPropagation(spec: RuntimeSpec): { type: number; recursive: boolean } {
  const name = spec.linux?.rootfsPropagation;
  if (name === undefined || name === '') return { type: PROPAGATION.slave, recursive: true };
  const found = propagationOf(name);
  if (found === undefined) throw invalid('linux.rootfsPropagation', `"${name}" is not supported`);
  return found;
}

/**
 * A copy that was made where the host's mounts are its peers: what happens to it in the container must not
 * reach the host.
 */
export function isolation(spec: RuntimeSpec): { propagation: number; recursive: number } {
  const { type, recursive } = rootPropagation(spec);
  return {
    propagation: type === PROPAGATION.shared ? PROPAGATION.slave : type,
    recursive: recursive ? 1 : 0,
  };
}

/** The same for a mount of the spec (`shareable`), unless peers are what it asks for. */
export function planIsolation(
  builder: PlanBuilder,
  copy: { readonly spec: RuntimeSpec; readonly slot: number; readonly from: string },
  shareable = false,
): void {
  if (shareable && rootPropagation(copy.spec).type === PROPAGATION.shared) return;
  builder.before.push(mountAttributes(copy.slot, isolation(copy.spec), copy.from));
}
