import { posix } from 'node:path';
import type { PlanBuilder } from './builder.ts';
import type { MountScene, PlannedMount } from './mount-model.ts';
import { planMounts } from './mounts.ts';

/*
 * A procfs shows the processes of whoever mounts it. When a pid namespace is entered late, after everything
 * of the host has been left behind, procfs and what lies on it or over it wait for that, too. The sources of
 * binds are the host's, so these are attached in time, to a tmpfs in procfs's place, and copied from there.
 */

interface SplitMounts {
  readonly now: readonly PlannedMount[];
  readonly late: readonly PlannedMount[];
}

const below = (path: string, above: string): boolean => path === above || path.startsWith(`${above}/`);

export function splitMounts(mounts: readonly PlannedMount[]): SplitMounts {
  const now: PlannedMount[] = [];
  const late: PlannedMount[] = [];
  for (const mount of mounts) {
    const { target } = mount;
    const waits = late.some((each) => below(target, each.target) || below(each.target, target));
    (mount.type === 'proc' || waits ? late : now).push(mount);
  }
  return { now, late };
}

/** Where the late binds are until then; null when there are none. */
function placeOf({ late }: SplitMounts): string | null {
  return late.some(({ type }) => type === 'bind') ? (late[0]?.target ?? null) : null;
}

const name = (place: string, at: number): string => posix.join(place, String(at));

export function planMountsBefore(builder: PlanBuilder, scene: MountScene, mounts: SplitMounts): void {
  planMounts(builder, scene, mounts.now);
  const place = placeOf(mounts);
  if (place === null) return;
  const { root } = scene;
  const slot = builder.slot('mounts');
  builder.child.push(
    { op: 'makeMount', slot, type: 'tmpfs', source: 'tmpfs', options: ['mode=755'], attributes: 0 },
    { op: 'attach', slot, root, path: place },
  );
  for (const [at, mount] of mounts.late.entries()) {
    if (mount.type === 'bind') planMounts(builder, scene, [{ ...mount, target: name(place, at) }]);
  }
}

/** In the pid namespace, with the root that is `/` now. */
export function planMountsAfter(builder: PlanBuilder, scene: MountScene, mounts: SplitMounts): void {
  const place = placeOf(mounts);
  const { root } = scene;
  const copies = mounts.late.map(({ type, from }, at) => {
    if (type !== 'bind' || place === null) return null;
    const slot = builder.slot(from);
    builder.child.push({ op: 'openTree', slot, at: root, path: name(place, at), recursive: 1, from });
    return slot;
  });
  for (const [at, mount] of mounts.late.entries()) {
    const slot = copies[at] ?? null;
    if (slot === null) planMounts(builder, scene, [mount]);
    else builder.child.push({ op: 'attach', slot, root, path: mount.target, from: mount.from });
  }
}
