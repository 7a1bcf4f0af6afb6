import { chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Owner } from '#base/id-mapping.ts';
import { LIMITS } from '#base/limits.ts';
import { hostsFile } from '#network/hosts-file.ts';
import type { SandboxFacts } from '#network/model.ts';
import { isResolvedStub, resolvConf, RESOLV_CONF, RESOLVED_CONF } from '#network/resolv-conf.ts';
import type { SpecInput } from '#runtime/spec.ts';
import type { ContainerSettings } from '../ports.ts';
import type { ContainerRecord } from '../record.ts';

async function hostFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.slice(0, LIMITS.passwdBytes);
}

/** The host's resolvers; behind systemd-resolved's stub the real ones. */
async function hostResolvers(): Promise<{ readonly host: string; readonly path: string }> {
  const host = await hostFile(RESOLV_CONF);
  return isResolvedStub(host)
    ? { host: await hostFile(RESOLVED_CONF), path: RESOLVED_CONF }
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

/**
 * Writes hosts, hostname and resolv.conf beside the record. Not flushed: they are made again at every
 * start.
 */
export async function writeNetworkFiles(sources: NetworkFileSources): Promise<void> {
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
    hostFile: hostNetwork ? await hostFile('/etc/hosts') : undefined,
  });
  const resolvers = resolvConf({
    ...(await hostResolvers()),
    dns: chosen(host.Dns, settings.dns),
    dnsSearch: chosen(host.DnsSearch, settings.dnsSearch),
    dnsOptions: chosen(host.DnsOptions, settings.dnsOptions),
    hostNetwork,
    ipv6: endpoints.some((endpoint) => endpoint.ipv6Address !== ''),
  });
  const write = async (name: (typeof NAMES)[number], text: string): Promise<void> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o644 });
    await chown(path, owner.uid, owner.gid);
  };
  await Promise.all([
    write('resolv.conf', resolvers),
    write('hostname', `${config.Hostname}\n`),
    write('hosts', hosts),
  ]);
}
