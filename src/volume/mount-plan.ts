import { posix } from 'node:path';
import { EngineError } from '#base/errors.ts';
import type { MountInput, MountPoint, SpecMount } from './model.ts';
import { anonymousVolume, bindOf, mountPointOf, tmpfsPoint } from './mount-spec.ts';
import { mergeTmpfsOptions, tmpfsFlagOptions } from './tmpfs-options.ts';

/** All mounts of a create request together, and what the runtime spec gets of them. Pure. */

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

const depth = (path: string): number => path.split('/').filter((part) => part !== '').length;

function specMount(point: MountPoint): SpecMount {
  const { destination } = point;
  if (point.type === 'tmpfs')
    return { destination, type: 'tmpfs', source: 'tmpfs', options: mergeTmpfsOptions(point.tmpfsOptions) };
  const options = point.volumeOptions ?? {};
  if (point.type === 'volume' && (options['type'] !== undefined || options['device'] !== undefined)) {
    const given = (options['o'] ?? '').split(',').filter((option) => option !== '');
    return {
      destination,
      type: options['type'] ?? 'none',
      source: options['device'] ?? '',
      options: point.readOnly ? [...given, 'ro'] : given,
    };
  }
  return {
    destination,
    type: 'bind',
    source: point.subpath === '' ? point.source : posix.join(point.source, point.subpath),
    options: [
      point.recursive ? 'rbind' : 'bind',
      ...(point.readOnly ? [point.readOnlyNonRecursive || !point.recursive ? 'ro' : 'rro'] : []),
      ...(point.propagation === '' ? [] : [point.propagation]),
    ],
  };
}

/** Parents before what lies below them; the order of the request otherwise. */
export function specMountsOf(points: readonly MountPoint[]): readonly SpecMount[] {
  return points.map(specMount).sort((a, b) => depth(a.destination) - depth(b.destination));
}
