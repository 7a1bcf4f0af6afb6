import { existsSync, readFileSync } from 'node:fs';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import type { RegistrySettings } from '#registry/endpoints.ts';
import { OWN_RUNTIME } from '#runtime/runtimes.ts';
import { parseConfigFile } from './config/file.ts';
import {
  OPTION_BY_KEY,
  type AddressPoolOption,
  type OptionValue,
  type RuntimeOption,
  type UlimitOption,
  type Values,
} from './config/options.ts';
import { registrySettings } from './config/registries.ts';
import { checkLabels, validateOptions } from './config/validate.ts';
import { parseBytes } from './config/values.ts';

export const DEFAULT_CONFIG_FILE = '/etc/gantry/daemon.json';

export interface TlsConfig {
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
  /** Clients must show a certificate that the CA signed. */
  readonly verify: boolean;
}

/** The daemon's configuration, complete: flags, file and defaults merged and checked. */
export interface DaemonConfig {
  readonly configFile: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidfile: string;
  readonly hosts: readonly string[];
  /** Null: `gantry`, else `docker`, else nobody. */
  readonly group: string | null;
  readonly debug: boolean;
  readonly logLevel: string;
  readonly logFormat: 'text' | 'json' | null;
  readonly tls: TlsConfig | null;
  readonly cgroupParent: string;
  readonly runtimes: Readonly<Record<string, RuntimeOption>>;
  readonly defaultRuntime: string;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly labels: readonly string[];
  readonly storageDriver: 'overlay2' | 'vfs';
  readonly initPath: string | null;
  readonly init: boolean;
  readonly shmSizeBytes: number | null;
  readonly noNewPrivileges: boolean;
  readonly defaultIpcMode: string;
  readonly defaultCgroupnsMode: string | null;
  readonly ulimits: readonly UlimitOption[];
  /** `native.cgroupdriver=cgroupfs` and the like. */
  readonly execOptions: readonly string[];
  /** Whose subordinate ids containers get: `user[:group]`. */
  readonly usernsRemap: string | null;
  readonly network: NetworkConfig;
  readonly registries: RegistrySettings;
  /** Keys that are set and have no effect here. */
  readonly withoutEffect: readonly string[];
}

export interface NetworkConfig {
  readonly bridge?: string;
  readonly bip?: string;
  readonly bip6?: string;
  readonly fixedCidr?: string;
  readonly fixedCidrV6?: string;
  readonly defaultGateway?: string;
  readonly defaultGatewayV6?: string;
  readonly defaultHostIp?: string;
  readonly mtu?: number;
  readonly ipv6?: boolean;
  readonly iptables?: boolean;
  readonly ip6tables?: boolean;
  readonly ipForward?: boolean;
  readonly ipForwardNoDrop?: boolean;
  readonly ipMasquerade?: boolean;
  readonly icc?: boolean;
  readonly addressPools?: readonly AddressPoolOption[];
}

class Reader {
  readonly #values: Values;

  constructor(values: Values) {
    this.#values = values;
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  flag(key: string): boolean | undefined {
    const value = this.#values.get(key);
    return typeof value === 'boolean' ? value : undefined;
  }

  count(key: string): number | undefined {
    const value = this.#values.get(key);
    return typeof value === 'number' ? value : undefined;
  }

  list(key: string): readonly string[] {
    return (this.#values.get(key) as readonly string[] | undefined) ?? [];
  }

  record<T>(key: string): Readonly<Record<string, T>> {
    return (this.#values.get(key) as Readonly<Record<string, T>> | undefined) ?? {};
  }
}

/** Leaves out what is not set. */
function defined<T extends object>(object: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

function networkConfig(values: Values): NetworkConfig {
  const read = new Reader(values);
  return defined<NetworkConfig>({
    bridge: read.text('bridge'),
    bip: read.text('bip'),
    bip6: read.text('bip6'),
    fixedCidr: read.text('fixed-cidr'),
    fixedCidrV6: read.text('fixed-cidr-v6'),
    defaultGateway: read.text('default-gateway'),
    defaultGatewayV6: read.text('default-gateway-v6'),
    defaultHostIp: read.text('ip'),
    mtu: read.count('mtu'),
    ipv6: read.flag('ipv6'),
    iptables: read.flag('iptables'),
    ip6tables: read.flag('ip6tables'),
    ipForward: read.flag('ip-forward'),
    ipForwardNoDrop: read.flag('ip-forward-no-drop'),
    ipMasquerade: read.flag('ip-masq'),
    icc: read.flag('icc'),
    addressPools: values.get('default-address-pools') as readonly AddressPoolOption[] | undefined,
  });
}

function tlsConfig(values: Values): TlsConfig | null {
  const read = new Reader(values);
  const verify = read.flag('tlsverify') === true;
  if (!verify && read.flag('tls') !== true) return null;
  const certPath = read.text('tlscert') ?? '';
  const keyPath = read.text('tlskey') ?? '';
  for (const path of [certPath, keyPath]) {
    if (path !== '' && existsSync(path)) continue;
    const pair = `(cert: ${JSON.stringify(certPath)}, key: ${JSON.stringify(keyPath)})`;
    throw new EngineError(
      'invalidArgument',
      `invalid TLS configuration: Could not load X509 key pair ${pair}: open ${path}: no such file or directory`,
    );
  }
  return { certPath, keyPath, caPath: read.text('tlscacert') ?? '', verify };
}

function storageDriver(name: string | undefined): 'overlay2' | 'vfs' {
  if (name === undefined || name === 'overlay2') return 'overlay2';
  if (name === 'vfs') return 'vfs';
  throw new EngineError('invalidArgument', `driver not supported: ${name} (use overlay2 or vfs)`);
}

function toConfig(values: Values, configFile: string): DaemonConfig {
  const read = new Reader(values);
  const debug = read.flag('debug') === true;
  const shm = read.text('default-shm-size');
  const format = read.text('log-format');
  const withoutEffect = [...values]
    .filter(([key, value]) =>
      key === 'live-restore'
        ? value === false
        : OPTION_BY_KEY.get(key)?.effect === false &&
          value !== '' &&
          !(Array.isArray(value) && value.length === 0),
    )
    .map(([key]) => key);
  return {
    configFile,
    dataRoot: read.text('data-root') ?? '/var/lib/gantry',
    execRoot: read.text('exec-root') ?? '/run/gantry',
    pidfile: read.text('pidfile') ?? '/run/gantry.pid',
    hosts: read.list('hosts').length === 0 ? ['unix:///run/gantry.sock'] : read.list('hosts'),
    group: read.text('group') ?? null,
    debug,
    logLevel: debug ? 'debug' : (read.text('log-level') ?? 'info'),
    logFormat: format === 'json' || format === 'text' ? format : null,
    tls: tlsConfig(values),
    cgroupParent: read.text('cgroup-parent') ?? '/docker',
    runtimes: read.record<RuntimeOption>('runtimes'),
    defaultRuntime: read.text('default-runtime') ?? OWN_RUNTIME,
    logDriver: read.text('log-driver') ?? 'json-file',
    logOptions: read.record<string>('log-opts'),
    dns: read.list('dns'),
    dnsSearch: read.list('dns-search'),
    dnsOptions: read.list('dns-opts'),
    labels: read.list('labels'),
    storageDriver: storageDriver(read.text('storage-driver')),
    initPath: read.text('init-path') ?? null,
    init: read.flag('init') === true,
    shmSizeBytes: shm === undefined ? null : parseBytes(shm),
    noNewPrivileges: read.flag('no-new-privileges') === true,
    defaultIpcMode: read.text('default-ipc-mode') ?? 'private',
    defaultCgroupnsMode: read.text('default-cgroupns-mode') ?? null,
    ulimits: Object.values(read.record<UlimitOption>('default-ulimits')),
    execOptions: read.list('exec-opts'),
    usernsRemap: read.text('userns-remap') ?? null,
    network: networkConfig(values),
    registries: registrySettings(values, process.env),
    withoutEffect,
  };
}

/** The file's text; a missing file counts only when it was asked for. */
function readFile(path: string, asked: boolean): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!asked && !existsSync(path)) return '';
    const why = errorCode(error) === 'ENOENT' ? 'no such file or directory' : errorMessage(error);
    throw new EngineError('invalidArgument', `open ${path}: ${why}`, { cause: error });
  }
}

/**
 * Merges flags with the file that they name. Errors begin as the reference's do, and go on with place and
 * advice.
 */
export function loadConfig(flags: Values): DaemonConfig {
  const named = flags.get('config-file');
  const configFile = typeof named === 'string' ? named : DEFAULT_CONFIG_FILE;
  const merged = new Map<string, OptionValue>(flags);
  try {
    const file = parseConfigFile(readFile(configFile, typeof named === 'string'), flags);
    for (const [key, value] of file) merged.set(key, value);
    validateMerged(merged);
  } catch (error) {
    throw new EngineError(
      'invalidArgument',
      `unable to configure the Docker daemon with file ${configFile}: ${errorMessage(error)}`,
      { cause: error },
    );
  }
  checkLabels(merged);
  return toConfig(merged, configFile);
}

function validateMerged(values: Values): void {
  try {
    validateOptions(values);
  } catch (error) {
    const message = `merged configuration validation from file and command line flags failed: ${errorMessage(error)}`;
    throw new EngineError('invalidArgument', message, { cause: error });
  }
}
