import { systemClock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { canonicalDomain, HUB, type RegistrySettings } from '#registry/endpoints.ts';
import { createRegistryClient } from '#registry/open.ts';
import type { Credentials } from '#registry/credentials.ts';
import type { UpstreamRepository } from '#registry/server-ports.ts';
import { UsageError } from '../oci/flags.ts';
import { VERSION } from '../oci/version.ts';

const CERTS_DIRS = ['/etc/gantry/certs.d', '/etc/docker/certs.d'];
const DOWNLOADS = 16;
const TRIES = 6;
const DOMAIN = /^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9a-fA-F:]+\](?::\d{1,5})?$/;

export interface Upstream {
  readonly repository: (path: string) => UpstreamRepository;
  close(): void;
}

function proxyOf(env: NodeJS.ProcessEnv): RegistrySettings['proxy'] {
  const value = (name: string): string => env[name] ?? env[name.toLowerCase()] ?? '';
  return { http: value('HTTP_PROXY'), https: value('HTTPS_PROXY'), no: value('NO_PROXY') };
}

export interface UpstreamOptions {
  /** `docker.io`, `https://HOST[:PORT]`; `http://…` says that it is not encrypted. */
  readonly address: string;
  readonly log: Log;
  /** Who the cache is there; read at every use. */
  readonly credentials: () => Credentials | null;
}

/** Errors: usage. */
export function openUpstream({ address, log, credentials }: UpstreamOptions): Upstream {
  const bare = address.replace(/^https?:\/\//, '').replace(/\/$/, '');
  if (!DOMAIN.test(bare))
    throw new UsageError(`--proxy ${address}: not docker.io, https://HOST or http://HOST`);
  const domain = canonicalDomain(bare);
  const settings: RegistrySettings = {
    mirrors: [],
    insecure: address.startsWith('http://') ? [domain] : [],
    certsDirs: CERTS_DIRS,
    proxy: proxyOf(process.env),
    maxDownloads: DOWNLOADS,
    maxUploads: 1,
    tries: TRIES,
  };
  const userAgent = `gantry-registry/${VERSION}`;
  const client = createRegistryClient({ settings: () => settings, userAgent, log, clock: systemClock });
  return {
    repository: (path) => {
      const name = domain === HUB && !path.includes('/') ? `library/${path}` : path;
      return client.repository({ domain, path: name }, { actions: 'pull', credentials: credentials() });
    },
    close: () => client.close(),
  };
}
