import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import { Authorizer } from './auth/authorizer.ts';
import type { RegistryClient, Repository, RepositoryUse } from './client.ts';
import { logIn } from './client/login.ts';
import { PlaceOrder } from './client/places.ts';
import { HttpRepository } from './client/repository.ts';
import { HUB_INDEX, searchIndex, type SearchQuery } from './client/search.ts';
import { Sender, places } from './client/sender.ts';
import { createSlots } from './client/slots.ts';
import type { Credentials } from './credentials.ts';
import { RegistryError } from './errors.ts';
import {
  canonicalDomain,
  HUB,
  isInsecure,
  namesNetworks,
  planEndpoints,
  splitHost,
  type Endpoint,
  type EndpointUse,
  type RegistrySettings,
} from './endpoints.ts';
import { Agents } from './transport/agents.ts';
import { exchange, pieces, readDocument, type Answer, type Wire } from './transport/exchange.ts';
import { TIMINGS, type Timings } from './transport/timings.ts';

export interface ClientOptions {
  /** Read at every use. */
  readonly settings: () => RegistrySettings;
  readonly userAgent: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly random?: () => number;
  /** Less patience, for tests. */
  readonly timings?: Partial<Timings>;
}

class Client implements RegistryClient {
  readonly #options: ClientOptions;
  readonly #wire: Wire;
  readonly #sender: Sender;
  readonly #agents: Agents;
  readonly downloads;
  readonly uploads;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { settings, clock, userAgent } = options;
    this.#agents = new Agents(settings, clock);
    this.#wire = { agents: this.#agents, timings: { ...TIMINGS, ...options.timings }, userAgent };
    const authorizer = new Authorizer({
      wire: this.#wire,
      clock,
      isInsecure: (host) => isInsecure(host, settings().insecure),
    });
    this.#sender = new Sender(this.#wire, authorizer);
    this.downloads = createSlots(() => settings().maxDownloads);
    this.uploads = createSlots(() => settings().maxUploads);
  }

  repository(name: { readonly domain: string; readonly path: string }, use: RepositoryUse): Repository {
    const { log, random = Math.random, settings } = this.#options;
    const actions = use.actions === 'pull' ? 'pull' : 'push';
    return new HttpRepository({
      path: name.path,
      actions: use.actions,
      credentials: credentialsFor(name.domain, use.credentials),
      signal: use.signal ?? new AbortController().signal,
      sender: this.#sender,
      places: async () =>
        new PlaceOrder(places(await this.#endpoints(name.domain, { actions })), this.#wire.timings.silenceMs),
      rules: { tries: settings().tries, backoffMs: this.#wire.timings.backoffMs, random },
      log: log.with({ registry: name.domain }),
    });
  }

  async login(
    credentials: Credentials,
  ): Promise<{ readonly status: string; readonly identityToken: string }> {
    const domain = canonicalDomain(credentials.serverAddress === '' ? HUB : credentials.serverAddress);
    const [origin] = places(await this.#endpoints(domain, { actions: 'push' }));
    if (origin === undefined) throw new Error('a registry has an address');
    return await logIn(this.#sender, origin, credentials);
  }

  async search(index: string, query: SearchQuery): ReturnType<RegistryClient['search']> {
    const isHub = index === '' || canonicalDomain(index) === HUB;
    const domain = isHub ? HUB : index;
    const found = await this.#endpoints(domain, { actions: 'push' });
    const endpoints = isHub ? found.map((one): Endpoint => ({ ...one, base: HUB_INDEX })) : found;
    const credentials = credentialsFor(domain, query.credentials);
    return await searchIndex(this.#wire, endpoints, { ...query, credentials });
  }

  async fetchUrl(text: string, signal: AbortSignal): ReturnType<RegistryClient['fetchUrl']> {
    const answer = await exchange(this.#wire, {
      method: 'GET',
      url: new URL(text),
      headers: {},
      authorization: null,
      signal,
      skipVerify: false,
    });
    if (answer.status >= 400) throw await downloadError(answer, text, this.#wire);
    const length = answer.headers['content-length'];
    return {
      sizeBytes: length === undefined ? null : Number(length),
      chunks: pieces(answer, this.#wire, signal),
    };
  }

  close(): void {
    this.#agents.close();
  }

  async #endpoints(domain: string, use: EndpointUse): Promise<readonly Endpoint[]> {
    const settings = this.#options.settings();
    const { host } = splitHost(domain);
    if (!namesNetworks(settings.insecure) || isIP(host) !== 0) return planEndpoints(domain, settings, use);
    const addresses = await addressesOf(host);
    return planEndpoints(domain, settings, { ...use, addresses });
  }
}

/** Nothing when they cannot be found out within a moment: the request itself tells that better. */
async function addressesOf(host: string): Promise<readonly string[]> {
  const late = Promise.withResolvers<readonly string[]>();
  const timer = setTimeout(() => late.resolve([]), LIMITS.registryLookupMs);
  try {
    const found = lookup(host, { all: true }).then((all) => all.map(({ address }) => address));
    return await Promise.race([found, late.promise]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

/** Any server may have been asked: what it says is told as it is. */
async function downloadError(answer: Answer, url: string, wire: Wire): Promise<RegistryError> {
  const body = await readDocument(answer, wire, LIMITS.errorBodyBytes).catch(() => null);
  const { status, statusText } = answer;
  const text = `failed to GET ${url} with status ${status} ${statusText}: ${(body ?? '').toString().trim()}`;
  return new RegistryError(text, { status });
}

/** What a user has for one registry is shown to no other. */
function credentialsFor(domain: string, credentials: Credentials | null): Credentials | null {
  if (credentials === null) return null;
  const { serverAddress } = credentials;
  const isMeant = serverAddress === '' || canonicalDomain(serverAddress) === canonicalDomain(domain);
  return isMeant ? credentials : null;
}

export function createRegistryClient(options: ClientOptions): RegistryClient {
  return new Client(options);
}
