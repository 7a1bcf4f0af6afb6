/*
 * Every option of the daemon: its flag, its key in the configuration file, its type. Names, types and
 * defaults are those of the reference; `effect: false` marks what is accepted and changes nothing (said in
 * the log when it is set).
 */

export type OptionType =
  | 'bool'
  | 'string'
  | 'int'
  | 'bytes'
  | 'ip'
  | 'list'
  | 'ips'
  | 'map'
  | 'flags'
  | 'pools'
  | 'runtimes'
  | 'ulimits'
  | 'any';

export interface Option {
  /** Key in the configuration file, and of the merged configuration. Empty: a flag only. */
  readonly key: string;
  /** Long flag. Empty: a key only. */
  readonly flag: string;
  readonly short: string;
  readonly type: OptionType;
  readonly effect: boolean;
}

interface Extra {
  readonly short?: string;
  /** Where the key differs from the flag: lists are plural in the file. */
  readonly key?: string;
  readonly effect?: false;
}

function option(type: OptionType, flag: string, extra: Extra = {}): Option {
  return { type, flag, key: extra.key ?? flag, short: extra.short ?? '', effect: extra.effect ?? true };
}

const keyOnly = (type: OptionType, key: string): Option => ({
  type,
  key,
  flag: '',
  short: '',
  effect: false,
});
const unused = (type: OptionType, flags: string): Option[] =>
  flags.split(' ').map((flag) => option(type, flag, { effect: false }));

export const OPTIONS: readonly Option[] = [
  ...'bip bip6 cgroup-parent data-root default-cgroupns-mode default-ipc-mode default-runtime exec-root fixed-cidr'
    .split(' ')
    .map((flag) => option('string', flag)),
  ...'fixed-cidr-v6 init-path log-driver log-format tlscacert tlscert tlskey'
    .split(' ')
    .map((f) => option('string', f)),
  ...'icc init ip-forward ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore no-new-privileges tls tlsverify'
    .split(' ')
    .map((flag) => option('bool', flag)),
  option('string', 'bridge', { short: 'b' }),
  option('bool', 'debug', { short: 'D' }),
  option('string', 'group', { short: 'G' }),
  option('list', 'host', { short: 'H', key: 'hosts' }),
  option('string', 'log-level', { short: 'l' }),
  option('string', 'pidfile', { short: 'p' }),
  option('string', 'storage-driver', { short: 's' }),
  option('string', 'userns-remap'),
  option('ip', 'default-gateway'),
  option('ip', 'default-gateway-v6'),
  option('ip', 'ip'),
  option('bytes', 'default-shm-size'),
  option('int', 'mtu'),
  option('ips', 'dns'),
  option('list', 'dns-opt', { key: 'dns-opts' }),
  option('list', 'dns-search'),
  option('list', 'label', { key: 'labels' }),
  option('list', 'exec-opt', { key: 'exec-opts' }),
  option('map', 'log-opt', { key: 'log-opts' }),
  option('pools', 'default-address-pool', { key: 'default-address-pools' }),
  option('runtimes', 'add-runtime', { key: 'runtimes' }),
  option('ulimits', 'default-ulimit', { key: 'default-ulimits' }),
  option('flags', 'feature', { key: 'features', effect: false }),
  ...unused(
    'bool',
    'allow-direct-routing cri-containerd experimental raw-logs rootless selinux-enabled userland-proxy',
  ),
  ...unused(
    'string',
    'containerd containerd-namespace metrics-addr seccomp-profile swarm-default-advertise-addr',
  ),
  ...unused('string', 'userland-proxy-path'),
  ...'max-concurrent-downloads max-concurrent-uploads max-download-attempts'
    .split(' ')
    .map((flag) => option('int', flag)),
  ...unused('int', 'cpu-rt-period cpu-rt-runtime'),
  ...unused('int', 'network-control-plane-mtu shutdown-timeout'),
  option('list', 'authorization-plugin', { key: 'authorization-plugins', effect: false }),
  option('list', 'cdi-spec-dir', { key: 'cdi-spec-dirs', effect: false }),
  option('any', 'default-network-opt', { key: 'default-network-opts', effect: false }),
  option('list', 'host-gateway-ip', { key: 'host-gateway-ips', effect: false }),
  option('list', 'insecure-registry', { key: 'insecure-registries' }),
  option('list', 'node-generic-resource', { key: 'node-generic-resources', effect: false }),
  option('list', 'registry-mirror', { key: 'registry-mirrors' }),
  option('list', 'storage-opt', { key: 'storage-opts', effect: false }),
  ...['http-proxy', 'https-proxy', 'no-proxy'].map((flag) => option('string', flag, { key: '' })),
  option('string', 'containerd-plugins-namespace', { key: '', effect: false }),
  keyOnly('any', 'builder'),
  { key: 'proxies', flag: '', short: '', type: 'map', effect: true },
  keyOnly('string', 'api-cors-header'),
  keyOnly('string', 'host-gateway-ip'),
  keyOnly('int', 'network-diagnostic-port'),
  { key: 'config-file', flag: 'config-file', short: '', type: 'string', effect: true },
];

/** Flags that end the program at once. */
export const ACTIONS: ReadonlyMap<string, string> = new Map([
  ['help', 'help'],
  ['h', 'help'],
  ['validate', 'validate'],
  ['version', 'version'],
  ['v', 'version'],
]);

/** Keys taken and ignored because a flag has that name. */
export const IGNORED_KEYS: ReadonlySet<string> = new Set([
  ...OPTIONS.filter(({ flag, key }) => flag !== '' && flag !== key).map(({ flag }) => flag),
  'allow-nondistributable-artifacts',
  'deprecated-key-path',
  'help',
  'version',
  'validate',
]);

export const OPTION_BY_KEY: ReadonlyMap<string, Option> = new Map(
  OPTIONS.filter(({ key }) => key !== '').map((one) => [one.key, one]),
);
export const OPTION_BY_FLAG: ReadonlyMap<string, Option> = new Map(
  OPTIONS.filter(({ flag }) => flag !== '').flatMap((one): [string, Option][] =>
    one.short === ''
      ? [[one.flag, one]]
      : [
          [one.flag, one],
          [one.short, one],
        ],
  ),
);

export type OptionValue =
  | boolean
  | number
  | string
  | readonly string[]
  | Readonly<Record<string, string>>
  | Readonly<Record<string, boolean>>
  | readonly AddressPoolOption[]
  | Readonly<Record<string, RuntimeOption>>
  | Readonly<Record<string, UlimitOption>>
  | null;

export interface AddressPoolOption {
  readonly base: string;
  readonly size: number;
}

export interface UlimitOption {
  readonly Name: string;
  /** -1: no limit. */
  readonly Hard: number;
  readonly Soft: number;
}

export interface RuntimeOption {
  readonly path: string;
  readonly args: readonly string[];
}

/** By key. */
export type Values = ReadonlyMap<string, OptionValue>;
