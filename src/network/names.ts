import { createHash } from 'node:crypto';

/**
 * Names in the kernel, all derived from the instance, so that two daemons with different data roots never
 * meet.
 */

export const DEFAULT_BRIDGE = 'docker0';

export const INSTANCE_PREFIX = 'gantry-';

/** `gantry-` and six digits: our nftables table, and our bridge where `docker0` is somebody else's. */
export function instanceName(instance: string): string {
  return `${INSTANCE_PREFIX}${instance.slice(0, 6)}`;
}

/** Written into a link's alias: says whose it is. */
export function ownerAlias(instance: string): string {
  return `gantry ${instance}`;
}

export function endpointAlias(instance: string, containerId: string): string {
  return `${ownerAlias(instance)} ${containerId}`;
}

/** The container an alias names; null for links that are not endpoints of this instance. */
export function containerOfAlias(instance: string, alias: string): string | null {
  const prefix = `${ownerAlias(instance)} `;
  return alias.startsWith(prefix) ? alias.slice(prefix.length) : null;
}

export function endpointLink(endpointId: string): string {
  return `veth${endpointId.slice(0, 7)}`;
}

/** Fixed, so that the bridge does not take its address from whichever port is the lowest. */
export function bridgeMac(instance: string): string {
  const hex = createHash('sha256').update(`bridge ${instance}`).digest('hex').slice(0, 8);
  return `02:42:${hex.match(/../g)?.join(':') ?? ''}`;
}

/** A unique local /64 for `--ipv6` without a subnet. */
export function uniqueLocalSubnet(instance: string): string {
  const hex = createHash('sha256').update(`ula ${instance}`).digest('hex');
  return `fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6, 10)}:${hex.slice(10, 14)}::/64`;
}
