import http from 'node:http';
import https from 'node:https';
import type { SecureContext } from 'node:tls';
import type { Clock } from '#base/clock.ts';
import type { RegistrySettings } from '../endpoints.ts';
import { proxyFor, proxyProblem } from './proxy.ts';
import { bySocks, isSocks } from './socks.ts';
import { hostCertificates, systemAuthorities } from './tls-files.ts';
import { trustedContext } from './trusted-context.ts';

/** Certificates are looked for again when they were read longer ago than this. */
const CERTIFICATES_MS = 10_000;
/** Who is not verified needs nobody's word. */
const NOBODY = Buffer.alloc(0);
const SOCKETS = { keepAlive: true, maxSockets: 64, maxFreeSockets: 6, timeout: 0 };

interface Kept {
  readonly agent: http.Agent;
  readonly certificates: string;
  checkedMs: number;
}

function proxyOptions(proxy: string | null): http.AgentOptions {
  return proxy === null || isSocks(proxy) ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
}

function by<A extends http.Agent>(proxy: string | null, agent: A): A {
  return proxy !== null && isSocks(proxy) ? bySocks(agent, proxy) : agent;
}

/**
 * Connections by origin, with the proxy and the certificates that hold for it. There is one secure context
 * for all hosts without certificates of their own: each costs memory, and 15 to 30 ms of the main thread in
 * parts.
 */
export class Agents {
  readonly #settings: () => RegistrySettings;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  #authorities: Promise<Buffer | null> | null = null;
  #general: Promise<SecureContext> | null = null;

  constructor(settings: () => RegistrySettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  async for(url: URL, skipVerify: boolean): Promise<http.Agent> {
    const settings = this.#settings();
    const proxy = proxyFor(url, settings.proxy);
    const key = `${url.origin} ${skipVerify} ${proxy ?? ''}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#clock.nowMs() - kept.checkedMs < CERTIFICATES_MS) return kept.agent;
    if (url.protocol === 'http:')
      return this.#keep(key, by(proxy, new http.Agent({ ...SOCKETS, ...proxyOptions(proxy) })));
    const own = await hostCertificates(settings.certsDirs, url.host);
    const certificates = own === null ? '' : JSON.stringify([own.authorities, own.pairs].map(String));
    if (kept?.certificates === certificates) {
      kept.checkedMs = this.#clock.nowMs();
      return kept.agent;
    }
    const authorities = skipVerify ? NOBODY : await this.#systemAuthorities();
    const isGeneral = own === null && !skipVerify;
    const secureContext = await (isGeneral
      ? this.#generalContext(authorities)
      : trustedContext(authorities, own));
    const agent = new https.Agent({
      ...SOCKETS,
      ...proxyOptions(proxy),
      secureContext,
      rejectUnauthorized: !skipVerify,
    });
    return this.#keep(key, by(proxy, agent), certificates);
  }

  /** Why the proxy for this address cannot be used, or null. */
  problemOf(url: URL): string | null {
    const proxy = proxyFor(url, this.#settings().proxy);
    return proxy === null ? null : proxyProblem(proxy);
  }

  hasProxy(url: URL): boolean {
    return proxyFor(url, this.#settings().proxy) !== null;
  }

  close(): void {
    for (const { agent } of this.#kept.values()) agent.destroy();
    this.#kept.clear();
  }

  #keep(key: string, agent: http.Agent, certificates = ''): http.Agent {
    // Requests under way keep the connections of the one before; it is not ended.
    this.#kept.set(key, { agent, certificates, checkedMs: this.#clock.nowMs() });
    return agent;
  }

  #systemAuthorities(): Promise<Buffer | null> {
    this.#authorities ??= systemAuthorities();
    return this.#authorities;
  }

  #generalContext(authorities: Buffer | null): Promise<SecureContext> {
    this.#general ??= trustedContext(authorities, null).catch((error: unknown) => {
      // The bundle may be a better one next time.
      this.#general = null;
      this.#authorities = null;
      throw error;
    });
    return this.#general;
  }
}
