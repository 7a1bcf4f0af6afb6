import { join } from 'node:path';
import { isBelow } from '#api/version.ts';
import type { JsonObject } from '#base/json.ts';
import type { SandboxFacts } from '#network/model.ts';
import type { ContainerRecord } from '../record.ts';
import { countsAsRunning } from '../state.ts';
import { endpointViews, portViews, type NetworkIdOf } from './endpoints.ts';
import { mountViews } from './mounts.ts';

export interface InspectSources {
  readonly record: ContainerRecord;
  readonly sandbox: SandboxFacts | null;
  readonly execIds: readonly string[];
  /** Where the record's directory is. */
  readonly directory: string;
  /** Of hosts, hostname and resolv.conf: with a joined network the other container's. */
  readonly filesDirectory: string;
  readonly graphDriver: { readonly name: string; readonly data: Readonly<Record<string, string>> };
  readonly networkIdOf: NetworkIdOf;
  readonly sizes: { readonly writableBytes: number; readonly rootfsBytes: number } | null;
  readonly apiVersion: string;
  readonly apparmorProfile: string;
}

function stateView({ state }: ContainerRecord): JsonObject {
  return {
    Status: state.status,
    Running: countsAsRunning(state.status),
    Paused: state.status === 'paused',
    Restarting: state.status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: state.status === 'dead',
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
  };
}

function networkSettings({ record, sandbox, networkIdOf, apiVersion }: InspectSources): JsonObject {
  const onBridge = sandbox?.endpoints['bridge'];
  const ports = portViews(record, sandbox);
  const hasSandbox = sandbox !== null && countsAsRunning(record.state.status);
  return {
    Bridge: '',
    SandboxID: hasSandbox ? sandbox.sandboxId : '',
    SandboxKey: hasSandbox ? sandbox.sandboxKey : '',
    Ports: hasSandbox ? ports : {},
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: onBridge?.endpointId ?? '',
    Gateway: onBridge?.gateway ?? '',
    GlobalIPv6Address: onBridge?.ipv6Address ?? '',
    GlobalIPv6PrefixLen: onBridge?.ipv6PrefixLength ?? 0,
    IPAddress: onBridge?.ipv4Address ?? '',
    IPPrefixLen: onBridge?.ipv4PrefixLength ?? 0,
    IPv6Gateway: onBridge?.ipv6Gateway ?? '',
    MacAddress: onBridge?.macAddress ?? '',
    Networks: endpointViews(record, sandbox, networkIdOf),
    ...(isBelow(apiVersion, '1.22') && { PortMapping: null }),
  };
}

/** The whole answer of inspect, fields in the reference's order. */
export function renderInspect(sources: InspectSources): JsonObject {
  const { record, directory, filesDirectory, graphDriver, sizes } = sources;
  const { hasBeenStarted: hasFiles, id } = record;
  const hasLog = hasFiles && record.hostConfig.LogConfig.Type === 'json-file';
  return {
    Id: id,
    Created: record.created,
    Path: record.path,
    Args: [...record.args],
    State: stateView(record),
    Image: record.imageId,
    ResolvConfPath: hasFiles ? join(filesDirectory, 'resolv.conf') : '',
    HostnamePath: hasFiles ? join(filesDirectory, 'hostname') : '',
    HostsPath: hasFiles ? join(filesDirectory, 'hosts') : '',
    LogPath: hasLog ? join(directory, `${id}-json.log`) : '',
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: record.driver,
    Platform: record.platform.os,
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: hasFiles ? sources.apparmorProfile : '',
    ExecIDs: sources.execIds.length === 0 ? null : [...sources.execIds],
    HostConfig: record.hostConfig as unknown as JsonObject,
    GraphDriver: { Data: { ID: id, ...graphDriver.data }, Name: graphDriver.name },
    ...(sizes !== null && { SizeRw: sizes.writableBytes, SizeRootFs: sizes.rootfsBytes }),
    Mounts: mountViews(record.mounts),
    Config: record.config as unknown as JsonObject,
    NetworkSettings: networkSettings(sources),
  };
}
