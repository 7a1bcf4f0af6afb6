import { EngineError } from '#base/errors.ts';
import type { MountInput, MountPoint } from './model.ts';
import { anonymousVolume, bindOf, mountPointOf, tmpfsPoint } from './mount-spec.ts';
import { tmpfsFlagOptions } from './tmpfs-options.ts';

/** All mounts of a create request together. Pure. */

/**
 * In the order in which later ones win: other containers' volumes, binds and mounts, then volumes where
 * nothing is yet.
 */
export function mountPoints(input: MountInput): readonly MountPoint[] {
  const points = new Map<string, MountPoint>();
  for (const point of input.volumesFrom ?? []) points.set(point.destination, point);
  const tmpfs = Object.entries(input.tmpfs).map(([path, options]) =>
    tmpfsPoint(path, tmpfsFlagOptions(options)),
  );
  const explicit = new Set(tmpfs.map((point) => point.destination));
  const named = [
    ...input.binds.map((raw) => bindOf(raw, input.volumeDriver ?? '')),
    ...input.mounts.map(mountPointOf),
  ];
  for (const point of named) {
    if (explicit.has(point.destination))
      throw new EngineError('invalidArgument', `Duplicate mount point: ${point.destination}`);
    explicit.add(point.destination);
    points.set(point.destination, point);
  }
  for (const point of tmpfs) points.set(point.destination, point);
  for (const path of input.volumes) {
    const point = anonymousVolume(path);
    if (!points.has(point.destination)) points.set(point.destination, point);
  }
  return [...points.values()];
}
