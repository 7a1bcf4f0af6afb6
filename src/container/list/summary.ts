import type { JsonObject } from '#base/json.ts';
import type { SandboxFacts } from '#network/model.ts';
import { endpointViews, type NetworkIdOf } from '../inspect/endpoints.ts';
import { mountViews } from '../inspect/mounts.ts';
import type { ContainerRecord } from '../record.ts';
import type { ListedPort } from './port-filter.ts';
import { statusText } from './status-text.ts';

export interface SummarySources {
  readonly record: ContainerRecord;
  readonly sandbox: SandboxFacts | null;
  readonly nowMs: number;
  readonly networkIdOf: NetworkIdOf;
  readonly sizes: { readonly writableBytes: number; readonly rootfsBytes: number } | null;
  /**
   * What the image is called in the list: the record's reference, or the id when that now means another
   * image.
   */
  readonly imageName: string;
}

/** Words with a space or other odd characters are quoted, as the COMMAND column shows them. */
export function commandText(path: string, args: readonly string[]): string {
  if (args.length === 0) return path;
  return [path, ...args.map((word) => (word.includes(' ') ? `'${word}'` : word))].join(' ');
}

/** The ports of a running container: what is only exposed, then what is published. */
export function listedPorts({
  record,
  sandbox,
}: Pick<SummarySources, 'record' | 'sandbox'>): (ListedPort & JsonObject)[] {
  if (sandbox === null || sandbox.mode !== 'bridge') return [];
  const published = sandbox.ports.map((port) => ({
    IP: port.hostIp,
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol as string,
  }));
  const seen = new Set(published.map((port) => `${port.PrivatePort}/${port.Type}`));
  const exposed = Object.keys(record.config.ExposedPorts ?? {})
    .filter((port) => !seen.has(port))
    .map((port) => ({ PrivatePort: Number.parseInt(port, 10), Type: port.slice(port.indexOf('/') + 1) }));
  return [...exposed, ...published];
}

/** One element of the list answer. */
export function renderSummary(sources: SummarySources): JsonObject {
  const { record, sizes } = sources;
  const endpoints = endpointViews(record, sources.sandbox, sources.networkIdOf);
  const networks = Object.entries(endpoints).map(
    ([name, view]) => [name, { ...(view as JsonObject), DNSNames: null }] as const,
  );
  const { Annotations } = record.hostConfig;
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: sources.imageName,
    ImageID: record.imageId,
    Command: commandText(record.path, record.args),
    Created: Math.floor(Date.parse(record.created) / 1000),
    Ports: listedPorts(sources),
    ...(sizes !== null && sizes.writableBytes > 0 && { SizeRw: sizes.writableBytes }),
    ...(sizes !== null && sizes.rootfsBytes > 0 && { SizeRootFs: sizes.rootfsBytes }),
    Labels: { ...record.config.Labels },
    State: record.state.status,
    Status: statusText(record.state, sources.nowMs),
    HostConfig: {
      NetworkMode: record.hostConfig.NetworkMode,
      ...(Annotations !== undefined && { Annotations: { ...Annotations } }),
    },
    NetworkSettings: { Networks: Object.fromEntries(networks) },
    Mounts: mountViews(record.mounts),
  };
}
