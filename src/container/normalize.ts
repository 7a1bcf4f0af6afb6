import * as messages from '#api/messages.ts';
import type { JsonObject } from '#base/json.ts';
import type { ImageDefaults } from '#oci/image-config.ts';
import type { MountInput } from '#volume/model.ts';
import { CONFIG_FIELDS, mergeConfig } from './normalize/config.ts';
import { parseEndpoints } from './normalize/endpoints.ts';
import { Fields, invalid } from './normalize/fields.ts';
import { parseHostConfig, type HostConfigSources } from './normalize/host-config.ts';
import { checkConflicts } from './normalize/modes.ts';
import type { ContainerConfig, EndpointWish, HostConfig } from './record.ts';

/*
 * A create body and an image's defaults become what the record keeps. Pure: everything about the machine
 * and the settings
 * comes in as data. In two steps, because the reference checks the host half before it looks the image up.
 */

export interface CheckedBody {
  readonly body: Fields;
  readonly hostConfig: HostConfig;
  readonly image: string;
}

/** The checks that need no image. Errors: `invalidArgument` with the reference's texts. */
export function checkBody(raw: JsonObject | null, sources: HostConfigSources): CheckedBody {
  const body = new Fields(raw ?? {});
  if (!body.hasAny(CONFIG_FIELDS)) throw invalid(messages.configEmpty());
  const image = body.text('Image');
  const host = body.object('HostConfig') ?? new Fields({}, '.HostConfig');
  const hostConfig = parseHostConfig(host, sources);
  checkConflicts(hostConfig, {
    hostname: body.text('Hostname'),
    hasPorts: Object.keys(hostConfig.PortBindings ?? {}).length > 0 || hostConfig.PublishAllPorts,
    hasLinks: (hostConfig.Links ?? []).length > 0,
    hasDns: (hostConfig.Dns ?? []).length > 0,
    hasHosts: (hostConfig.ExtraHosts ?? []).length > 0,
  });
  if (hostConfig.NetworkMode === 'host' && Object.keys(hostConfig.PortBindings ?? {}).length > 0) {
    sources.warnings.push('Published ports are discarded when using host network mode');
  }
  return { body, hostConfig, image };
}

export interface NormalizedContainer {
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly networks: Readonly<Record<string, EndpointWish>>;
  readonly path: string;
  readonly args: readonly string[];
  readonly mountInput: Omit<MountInput, 'volumesFrom'>;
}

/** `shortId` is the default host name; on the host's UTS or network it is `machineHostname`. */
export function normalizeContainer(
  checked: CheckedBody,
  image: ImageDefaults,
  names: { readonly shortId: string; readonly machineHostname: string },
): NormalizedContainer {
  const { body, hostConfig } = checked;
  const usesHostName = hostConfig.UTSMode === 'host' || hostConfig.NetworkMode === 'host';
  const config = mergeConfig(body, image, usesHostName ? names.machineHostname : names.shortId);
  const words = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return {
    config,
    hostConfig,
    networks: parseEndpoints(body, hostConfig.NetworkMode, config.MacAddress ?? ''),
    path: words[0] ?? '',
    args: words.slice(1),
    mountInput: {
      binds: hostConfig.Binds ?? [],
      mounts: hostConfig.Mounts ?? [],
      tmpfs: hostConfig.Tmpfs ?? {},
      volumes: Object.keys(config.Volumes ?? {}),
      volumeDriver: hostConfig.VolumeDriver,
    },
  };
}
