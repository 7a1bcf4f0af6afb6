import type { JsonObject } from '#base/json.ts';
import type { RegistrySettings } from '#registry/endpoints.ts';
import type { Values } from './options.ts';

/** `max-download-attempts` and its like, where nothing is configured. */
const DOWNLOADS = 3;
const UPLOADS = 5;
const TRIES = 5;
/** Ours comes before the one that exists where docker was installed. */
const CERTIFICATES = ['/etc/gantry/certs.d', '/etc/docker/certs.d'];
const LOOPBACK = ['::1/128', '127.0.0.0/8'];

type Environment = Readonly<Record<string, string | undefined>>;

function list(values: Values, key: string): readonly string[] {
  return (values.get(key) as readonly string[] | undefined) ?? [];
}

/** 0 is no bound. */
function bound(values: Values, key: string, otherwise: number): number {
  const value = values.get(key);
  if (typeof value !== 'number') return otherwise;
  return value === 0 ? Infinity : value;
}

/** Flag, file, environment: the first that says something. */
function proxy(values: Values, name: string, environment: Environment): string {
  const flag = values.get(`--${name}`);
  if (typeof flag === 'string' && flag !== '') return flag;
  const file = values.get('proxies') as Readonly<Record<string, string>> | undefined;
  const variable = name.replace('-', '_');
  return file?.[name] || environment[variable.toUpperCase()] || environment[variable] || '';
}

/** With the slash at its end that the reference shows. */
function mirrorOf(text: string): string {
  return text.endsWith('/') ? text : `${text}/`;
}

/** The part of the configuration that is about registries; mirrors are checked before. */
export function registrySettings(values: Values, environment: Environment): RegistrySettings {
  return {
    mirrors: [...new Set(list(values, 'registry-mirrors').map(mirrorOf))],
    insecure: list(values, 'insecure-registries').map((entry) => entry.replace(/^https?:\/\//i, '')),
    certsDirs: CERTIFICATES,
    proxy: {
      http: proxy(values, 'http-proxy', environment),
      https: proxy(values, 'https-proxy', environment),
      no: proxy(values, 'no-proxy', environment),
    },
    maxDownloads: bound(values, 'max-concurrent-downloads', DOWNLOADS),
    maxUploads: bound(values, 'max-concurrent-uploads', UPLOADS),
    tries: Math.max(1, bound(values, 'max-download-attempts', TRIES)),
  };
}

/** `RegistryConfig` of GET /info. */
export function registryInfo({ mirrors, insecure }: RegistrySettings): JsonObject {
  const networks = insecure.filter((entry) => entry.includes('/'));
  const hosts = insecure.filter((entry) => !entry.includes('/'));
  const hub = { Name: 'docker.io', Mirrors: [...mirrors], Secure: true, Official: true };
  const index = (name: string): JsonObject => ({ Name: name, Mirrors: [], Secure: false, Official: false });
  return {
    IndexConfigs: { 'docker.io': hub, ...Object.fromEntries(hosts.map((host) => [host, index(host)])) },
    InsecureRegistryCIDRs: [...networks, ...LOOPBACK],
    Mirrors: mirrors.length === 0 ? null : [...mirrors],
  };
}

/** As GET /info shows it: without whoever asks, whose name may be the secret already. */
export function shownProxy(text: string): string {
  return text.replace(
    /^([a-z][a-z0-9+.-]*:\/\/)?.*@/is,
    (_all, scheme: string | undefined) => `${scheme ?? ''}xxxxx:xxxxx@`,
  );
}
