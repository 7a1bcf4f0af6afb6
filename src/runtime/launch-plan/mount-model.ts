import type { RuntimeSpec, SpecMount } from '#oci/runtime-spec.ts';
import type { CgroupPlaces } from './cgroups.ts';
import type { LaunchContext } from './context.ts';
import { ATTR } from './kernel-numbers.ts';
import { changeOf, type MountOptions } from './mount-options.ts';
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
