import { LIMITS } from '#base/limits.ts';
import { unauthorizedRequest, type Authorizer, type AuthTarget } from '../auth/authorizer.ts';
import type { Credentials } from '../credentials.ts';
import type { Endpoint } from '../endpoints.ts';
import { RegistryError } from '../errors.ts';
import { exchange, type Answer, type OutgoingBody, type Wire } from '../transport/exchange.ts';
import { sameOrigin } from '../transport/redirects.ts';

/* A request to one place, authorized if it wants that. */

/** A registry or a mirror: the addresses that it may have, HTTPS first. */
export interface Place {
  readonly name: string;
  readonly isMirror: boolean;
  readonly endpoints: readonly Endpoint[];
}

export interface Ask {
  readonly method: string;
  /** Below the address of the place; or a whole address that the place has named. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: OutgoingBody;
  readonly signal: AbortSignal;
}

export interface Identity {
  readonly scopes: readonly string[];
  readonly credentials: Credentials | null;
  readonly onRefreshToken?: (token: string) => void;
}

export function places(endpoints: readonly Endpoint[]): readonly Place[] {
  const mirrors = endpoints.filter(({ isMirror }) => isMirror);
  const origin = endpoints.filter(({ isMirror }) => !isMirror);
  return [
    ...mirrors.map((one) => ({ name: one.base, isMirror: true, endpoints: [one] })),
    { name: origin[0]?.host ?? '', isMirror: false, endpoints: origin },
  ];
}

function addressOf(endpoint: Endpoint, path: string | URL): URL {
  const url = typeof path === 'string' ? new URL(endpoint.base + path) : new URL(path);
  for (const [name, value] of Object.entries(endpoint.query)) url.searchParams.set(name, value);
  return url;
}

export class Sender {
  readonly wire: Wire;
  readonly #authorizer: Authorizer;
  /** Where an insecure registry answered last. */
  readonly #answering = new Map<string, string>();

  constructor(wire: Wire, authorizer: Authorizer) {
    this.wire = wire;
    this.#authorizer = authorizer;
  }

  /**
   * `identity` null: no authorization, just a look at what is wanted. Errors: `RegistryError` of the last
   * address that was tried, when none gave an answer.
   */
  async send(place: Place, ask: Ask, identity: Identity | null): Promise<Answer> {
    const failures: unknown[] = [];
    for (const endpoint of this.#inOrder(place, ask.path)) {
      let isReached = false;
      try {
        return await this.#sendTo(endpoint, ask, {
          identity,
          onAnswer: () => {
            isReached = true;
            this.#remember(place, endpoint);
          },
        });
      } catch (error) {
        if (isReached || !(error instanceof RegistryError)) throw error;
        ask.signal.throwIfAborted();
        failures.push(error);
      }
    }
    // Of an insecure registry plain HTTP is what counts, in whatever order they were tried.
    throw failures.find((one) => (one as Error).message.includes('"http://')) ?? failures.at(-1);
  }

  #inOrder(place: Place, path: string | URL): readonly Endpoint[] {
    if (typeof path !== 'string') {
      const own = place.endpoints.find(({ base }) => sameOrigin(new URL(base), path));
      return [own ?? { ...(place.endpoints[0] as Endpoint) }];
    }
    const first = this.#answering.get(place.name);
    return place.endpoints.toSorted((a, b) => Number(b.base === first) - Number(a.base === first));
  }

  #remember(place: Place, endpoint: Endpoint): void {
    if (place.endpoints.length < 2) return;
    this.#answering.delete(place.name);
    this.#answering.set(place.name, endpoint.base);
    const [oldest] = this.#answering.keys();
    if (this.#answering.size > LIMITS.registryTokens && oldest !== undefined) this.#answering.delete(oldest);
  }

  async #sendTo(
    endpoint: Endpoint,
    ask: Ask,
    how: { readonly identity: Identity | null; readonly onAnswer: () => void },
  ): Promise<Answer> {
    const origin = new URL(endpoint.base);
    const url = addressOf(endpoint, ask.path);
    const isOwn = sameOrigin(url, origin);
    const { identity } = how;
    const target: AuthTarget = {
      ...(identity ?? { scopes: [] }),
      origin,
      skipVerify: endpoint.skipVerify,
      credentials: endpoint.takesCredentials ? (identity?.credentials ?? null) : null,
    };
    const { method, headers = {}, body, signal } = ask;
    const skipVerify = endpoint.skipVerify;
    const authorize = async (header: () => Promise<string | null>): Promise<string | null> => {
      try {
        return await header();
      } catch (error) {
        // What it wants is known because it has answered before.
        how.onAnswer();
        throw unauthorizedRequest(method, url, error);
      }
    };
    let authorization =
      isOwn && identity !== null ? await authorize(() => this.#authorizer.known(target, signal)) : null;
    for (let used = 0; ; used++) {
      const out = { method, url, headers, authorization, signal, skipVerify };
      const answer = await exchange(this.wire, body === undefined ? out : { ...out, body });
      how.onAnswer();
      const isAsked = answer.status === 401 && isOwn && sameOrigin(answer.url, origin);
      if (isAsked && identity === null) this.#authorizer.learn(answer);
      if (!isAsked || identity === null || used === LIMITS.registryAuthorizations) return answer;
      const refusal = { answer, refused: authorization };
      const next = await authorize(() => this.#authorizer.answer(target, refusal, signal));
      if (next === null || next === authorization) return answer;
      answer.discard();
      authorization = next;
    }
  }
}
