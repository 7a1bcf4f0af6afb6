import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileStep } from '#base/file-steps.ts';
import type { Owner } from '#base/id-mapping.ts';
import { LIMITS } from '#base/limits.ts';
import { hostsFile } from '#network/hosts-file.ts';
import type { SandboxFacts } from '#network/model.ts';
import { isResolvedStub, resolvConf, RESOLV_CONF, RESOLVED_CONF } from '#network/resolv-conf.ts';
import type { SpecInput } from '#runtime/spec.ts';
import type { ContainerSettings } from '../ports.ts';
import type { ContainerRecord } from '../record.ts';

/** Small, on the host's own root: a trip to a thread would take longer. */
function hostFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, LIMITS.passwdBytes);
  } catch {
    return '';
  }
}

/** The host's resolvers; behind systemd-resolved's stub the real ones. */
function hostResolvers(): { readonly host: string; readonly path: string } {
  const host = hostFile(RESOLV_CONF);
  return isResolvedStub(host)
    ? { host: hostFile(RESOLVED_CONF), path: RESOLVED_CONF }
    : { host, path: RESOLV_CONF };
}

const chosen = (own: readonly string[] | null, configured: readonly string[]): readonly string[] =>
  own !== null && own.length > 0 ? own : configured;

export interface NetworkFileSources {
  readonly record: ContainerRecord;
  readonly sandbox: SandboxFacts | null;
  readonly settings: ContainerSettings;
  readonly hostGateway: string;
  /** The record's directory. */
  readonly directory: string;
  /** Root of the container, which may write them, in the host's ids. */
  readonly owner: Owner;
}

const NAMES = ['resolv.conf', 'hostname', 'hosts'] as const;

/** Where the three files are mounted from. */
export function networkFileMounts(directory: string): SpecInput['networkFiles'] {
  return NAMES.map((name) => ({ source: join(directory, name), destination: `/etc/${name}` }));
}

/** hosts, hostname and resolv.conf beside the record. Not flushed: they are made again at every start. */
export function networkFileSteps(sources: NetworkFileSources): readonly FileStep[] {
  const { record, sandbox, settings, directory, owner } = sources;
  const { hostConfig: host, config } = record;
  const hostNetwork = host.NetworkMode === 'host';
  const endpoints = Object.values(sandbox?.endpoints ?? {});
  const addresses = endpoints
    .flatMap((endpoint) => [endpoint.ipv4Address, endpoint.ipv6Address])
    .filter((address) => address !== '');
  const hosts = hostsFile({
    hostname: config.Hostname,
    domainname: config.Domainname,
    addresses,
    extraHosts: host.ExtraHosts ?? [],
    hostGateway: sources.hostGateway,
    hostFile: hostNetwork ? hostFile('/etc/hosts') : undefined,
  });
  const resolvers = resolvConf({
    ...hostResolvers(),
    dns: chosen(host.Dns, settings.dns),
    dnsSearch: chosen(host.DnsSearch, settings.dnsSearch),
    dnsOptions: chosen(host.DnsOptions, settings.dnsOptions),
    hostNetwork,
    ipv6: endpoints.some((endpoint) => endpoint.ipv6Address !== ''),
  });
  const step = (name: (typeof NAMES)[number], content: string): FileStep => ({
    kind: 'file',
    path: join(directory, name),
    content,
    mode: 0o644,
    ...((owner.uid !== 0 || owner.gid !== 0) && { owner }),
  });
  return [step('resolv.conf', resolvers), step('hostname', `${config.Hostname}\n`), step('hosts', hosts)];
}
