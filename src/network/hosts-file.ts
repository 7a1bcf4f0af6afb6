import { EngineError } from '#base/errors.ts';
import { parseAddress } from './address.ts';

/** The content of a container's /etc/hosts. Pure. */

export interface HostsFileInput {
  readonly hostname: string;
  readonly domainname: string;
  /** The container's addresses; empty ones are left out. */
  readonly addresses: readonly string[];
  /** `--add-host`: `name:address`, where the address may be `host-gateway`. */
  readonly extraHosts: readonly string[];
  /** What `host-gateway` stands for. */
  readonly hostGateway: string;
  /** On the host's network: its own file, to which extra hosts are added. */
  readonly hostFile?: string | undefined;
}

const DEFAULTS: readonly (readonly [string, string])[] = [
  ['127.0.0.1', 'localhost'],
  ['::1', 'localhost ip6-localhost ip6-loopback'],
  ['fe00::', 'ip6-localnet'],
  ['ff00::', 'ip6-mcastprefix'],
  ['ff02::1', 'ip6-allnodes'],
  ['ff02::2', 'ip6-allrouters'],
];

/** `name:address` or `name=address`; the address may be IPv6, in brackets or not. */
export function parseExtraHost(text: string, hostGateway: string): readonly [address: string, name: string] {
  const cut = text.search(/[:=]/);
  const name = text.slice(0, cut);
  const raw = text.slice(cut + 1);
  if (cut < 1 || raw === '') throw new EngineError('invalidArgument', `bad format for add-host: "${text}"`);
  const address = raw.startsWith('[') && raw.endsWith(']') ? raw.slice(1, -1) : raw;
  if (address === 'host-gateway') {
    if (hostGateway === '')
      throw new EngineError('invalidArgument', 'unable to derive the IP value for host-gateway');
    return [hostGateway, name];
  }
  if (parseAddress(address) === null)
    throw new EngineError('invalidArgument', `invalid IP address in add-host: "${address}"`);
  return [address, name];
}

export function hostsFile(input: HostsFileInput): string {
  const extra = input.extraHosts.map((text) => parseExtraHost(text, input.hostGateway));
  const line = ([address, names]: readonly [string, string]): string => `${address}\t${names}\n`;
  if (input.hostFile !== undefined) {
    const end = input.hostFile === '' || input.hostFile.endsWith('\n') ? '' : '\n';
    return `${input.hostFile}${end}${extra.map(line).join('')}`;
  }
  const names =
    input.domainname === '' ? input.hostname : `${input.hostname}.${input.domainname} ${input.hostname}`;
  const own = input.addresses.filter((address) => address !== '').map((address) => [address, names] as const);
  return [...DEFAULTS, ...extra, ...own].map(line).join('');
}
