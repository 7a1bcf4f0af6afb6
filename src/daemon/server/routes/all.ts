import type { Backends } from '../backends.ts';
import type { Route } from '../call.ts';
import { containerRoutes } from './containers.ts';
import { execRoutes } from './exec.ts';
import { gantryImageRoutes } from './gantry-images.ts';
import { imageRoutes } from './images.ts';
import { networkRoutes } from './networks.ts';
import { registryRoutes } from './registry.ts';
import { systemRoutes } from './system.ts';
import { unsupportedRoutes } from './unsupported.ts';
import { volumeRoutes } from './volumes.ts';

/** First match wins; what is not supported comes last, so that a verb that appears simply takes over. */
export function allRoutes(backends: Backends): readonly Route[] {
  return [
    ...systemRoutes(backends),
    ...containerRoutes(backends.containers),
    ...execRoutes(backends.execs),
    ...registryRoutes(backends.images),
    ...imageRoutes(backends.images),
    ...gantryImageRoutes(backends.images),
    ...networkRoutes(backends.networks),
    ...volumeRoutes(backends.volumes),
    ...unsupportedRoutes(backends),
  ];
}
