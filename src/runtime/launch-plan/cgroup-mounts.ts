import { posix } from 'node:path';
import { mountAttributes, type PlanBuilder } from './builder.ts';
import { ATTR, ERRNO, PROPAGATION } from './kernel-numbers.ts';
import { bindChange, dataOptions, isolation, type MountScene, type PlannedMount } from './mount-model.ts';

const BASIC = ATTR.nosuid | ATTR.nodev | ATTR.noexec;

/** `/sys/fs/cgroup` of a container. */
export function planCgroupMount(builder: PlanBuilder, scene: MountScene, planned: PlannedMount): void {
  if (scene.cgroups.unified) planUnified(builder, scene, planned);
  else planHierarchies(builder, scene, planned);
}

function attach(builder: PlanBuilder, scene: MountScene, mount: { slot: number } & PlannedMount): void {
  const { slot, target, from, options } = mount;
  for (const { type, recursive } of options.propagation) {
    const change = { propagation: type, recursive: recursive ? 1 : 0 };
    builder.child.push(mountAttributes(slot, change, from));
  }
  builder.child.push({ op: 'attach', slot, root: scene.root, path: target, from });
}

/** v1: a tmpfs with a directory for each hierarchy, and links for controllers that share one. */
function planHierarchies(builder: PlanBuilder, scene: MountScene, planned: PlannedMount): void {
  const { from, target, options } = planned;
  const slot = builder.slot(from);
  builder.child.push({
    op: 'makeMount',
    slot,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['mode=755'],
    attributes: BASIC,
    from,
  });
  attach(builder, scene, { ...planned, slot });
  const own = scene.namespaces.has('cgroup');
  const change = bindChange(options);
  for (const place of scene.cgroups.v1) {
    const { hierarchy } = place;
    const name = posix.basename(hierarchy.mountPoint);
    const below = { ...planned, target: posix.join(target, name) };
    if (own) {
      const mount = builder.slot(from);
      const named = hierarchy.controllers.some((controller) => controller.startsWith('name='));
      builder.child.push({
        op: 'makeMount',
        slot: mount,
        type: 'cgroup',
        source: named ? 'systemd' : 'cgroup',
        options: hierarchy.controllers,
        attributes: BASIC | (options.set & ATTR.readonly),
        from,
      });
      builder.child.push({ op: 'attach', slot: mount, root: scene.root, path: below.target, from });
      continue;
    }
    // Only now, since the limits and the process itself have been written through it.
    const alone = { ...change, ...isolation(scene.spec), recursive: 0 };
    builder.child.push(mountAttributes(place.slot, alone, from));
    attach(builder, scene, { ...below, slot: place.slot });
  }
  planLinks(builder, scene, planned);
}

function planLinks(builder: PlanBuilder, scene: MountScene, { target, from }: PlannedMount): void {
  for (const { hierarchy } of scene.cgroups.v1) {
    const name = posix.basename(hierarchy.mountPoint);
    for (const controller of name.includes(',') ? name.split(',') : []) {
      builder.child.push({
        op: 'makeLink',
        root: scene.root,
        path: posix.join(target, controller),
        target: name,
        ignore: [ERRNO.EEXIST],
        from,
      });
    }
  }
}

/**
 * v2. A new mount outside of a cgroup namespace would take `nsdelegate` away from the host's: there, what the
 * host shows is shown.
 */
function planUnified(builder: PlanBuilder, scene: MountScene, planned: PlannedMount): void {
  const { from, options, mount } = planned;
  const { v2 } = scene.cgroups;
  if (!scene.namespaces.has('cgroup') && v2 !== undefined) {
    const slot = builder.hostTree(v2.hierarchy.mountPoint, { recursive: false, from });
    // As private as a new mount would be.
    builder.before.push(mountAttributes(slot, { propagation: PROPAGATION.private, recursive: 0 }, from));
    const change = bindChange(options);
    if (change !== null) builder.before.push(mountAttributes(slot, change, from));
    return attach(builder, scene, { ...planned, slot });
  }
  const slot = builder.slot(from);
  builder.child.push({
    op: 'makeMount',
    slot,
    type: 'cgroup2',
    source: mount.source ?? 'cgroup',
    options: dataOptions(options.data),
    attributes: options.set,
    from,
  });
  return attach(builder, scene, { ...planned, slot });
}
