import type { JsonObject } from '#base/json.ts';
import type { MountPoint } from '#volume/model.ts';

/** `Mounts` of inspect and list: what `--tmpfs` made is not among them. */
export function mountViews(mounts: readonly MountPoint[]): JsonObject[] {
  return mounts
    .filter((mount) => !mount.fromTmpfsFlag)
    .map((mount) => ({
      Type: mount.type,
      ...(mount.type === 'volume' && { Name: mount.name }),
      Source: mount.source,
      Destination: mount.destination,
      ...(mount.type === 'volume' && { Driver: mount.driver }),
      Mode: mount.mode,
      RW: !mount.readOnly,
      Propagation: mount.propagation,
    }));
}
