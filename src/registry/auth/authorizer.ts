import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { errorMessage } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { answerError } from '../client/answer-error.ts';
import type { Credentials } from '../credentials.ts';
import { RegistryError } from '../errors.ts';
import { exchange, readDocument, type Answer, type Wire } from '../transport/exchange.ts';
import { goRequest } from '../transport/go-errors.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import { TokenCache, type Authorization } from './token-cache.ts';
import {
  basicHeader,
  readToken,
  refreshForm,
  tokenQuery,
  tokenWish,
  type TokenWish,
} from './token-request.ts';
import { chunksOf } from '../transport/chunks.ts';

/** Who asks whom for what. */
export interface AuthTarget {
  readonly origin: URL;
  readonly skipVerify: boolean;
  readonly scopes: readonly string[];
  /** Null for whoever must not see them: mirrors, other registries than the one they are for. */
  readonly credentials: Credentials | null;
  /** Called with a refresh token if the server gives one: logins. */
  readonly onRefreshToken?: (token: string) => void;
}

interface Parts {
  readonly wire: Wire;
  readonly clock: Clock;
  /** Of authorization servers that are not the registry's own host. */
  readonly isInsecure: (host: string) => boolean;
}

function denied(reason: string): RegistryError {
  return new RegistryError(reason, { status: 0, permanent: true, reason });
}

function keyOf(target: AuthTarget): string {
  const { origin, scopes, credentials } = target;
  const identity = createHash('sha256').update(JSON.stringify(credentials)).digest('hex');
  return [origin.origin, scopes.toSorted().join(' '), identity].join('|');
}

/** Waits with a caller who may leave; the work itself goes on for others. */
async function until<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const left = Promise.withResolvers<never>();
  const leave = (): void => left.reject(signal.reason as Error);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** Turns a registry's demands into Authorization headers; nothing else reads credentials. */
export class Authorizer {
  readonly #parts: Parts;
  readonly #cache: TokenCache;
  readonly #demands = new Map<string, readonly Challenge[]>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#cache = new TokenCache(parts.clock);
  }

  /** What is known to be wanted: a header that was good before, or the answer to a demand seen before. */
  async known(target: AuthTarget, signal: AbortSignal): Promise<string | null> {
    const cached = target.onRefreshToken === undefined ? this.#cache.get(keyOf(target)) : null;
    if (cached !== null) return cached;
    const demands = this.#demands.get(target.origin.origin);
    if (demands === undefined) return null;
    // One repository may be open where another one is not: without a user it is asked for and refused.
    const hasUser = target.credentials !== null && target.credentials.username !== '';
    if (!hasUser && !demands.some(({ scheme }) => scheme === 'bearer')) return null;
    return await this.#obtain(target, demands, signal);
  }

  /** After a 401. Null: it demands nothing that can be answered. */
  async answer(
    target: AuthTarget,
    refusal: { readonly answer: Answer; readonly refused: string | null },
    signal: AbortSignal,
  ): Promise<string | null> {
    const challenges = this.learn(refusal.answer);
    if (refusal.refused !== null) this.#cache.drop(keyOf(target), refusal.refused);
    return await this.#obtain(target, challenges, signal);
  }

  /** Remembers what the origin wants, without the scope: that belongs to one request. */
  learn(answer: Answer): readonly Challenge[] {
    const challenges = parseChallenges(answer.challenges);
    const { origin } = answer.url;
    const general = challenges.map(({ scheme, parameters }) => ({
      scheme,
      parameters: new Map([...parameters].filter(([name]) => name !== 'scope' && name !== 'error')),
    }));
    this.#demands.delete(origin);
    if (general.length > 0) this.#demands.set(origin, general);
    const [oldest] = this.#demands.keys();
    if (this.#demands.size > LIMITS.registryTokens && oldest !== undefined) this.#demands.delete(oldest);
    return challenges;
  }

  async #obtain(
    target: AuthTarget,
    challenges: readonly Challenge[],
    signal: AbortSignal,
  ): Promise<string | null> {
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'),
    );
    const isBasic = challenges.some(({ scheme }) => scheme === 'basic');
    if (bearer === undefined && !isBasic) return null;
    const ask = (): Promise<Authorization> =>
      bearer === undefined ? Promise.resolve(this.#basic(target)) : this.#bearer(target, bearer);
    const isLogin = target.onRefreshToken !== undefined;
    const asked = isLogin ? ask().then(({ header }) => header) : this.#cache.fetch(keyOf(target), ask);
    return await until(asked, signal);
  }

  #basic({ credentials }: AuthTarget): Authorization {
    if (credentials === null || credentials.username === '') throw denied('no basic auth credentials');
    return { header: basicHeader(credentials), expiresMs: Infinity };
  }

  async #bearer(target: AuthTarget, challenge: Challenge): Promise<Authorization> {
    const { credentials } = target;
    if (credentials !== null && credentials.registryToken !== '') {
      return { header: `Bearer ${credentials.registryToken}`, expiresMs: Infinity };
    }
    const realm = this.#realm(target, challenge.parameters.get('realm') ?? '');
    const wish = tokenWish(challenge, target.scopes, target.onRefreshToken !== undefined);
    const refresh = credentials?.identityToken ?? '';
    const answer =
      (refresh === '' ? null : await this.#refresh({ target, realm, wish }, refresh)) ??
      (await this.#send(target, tokenQuery(realm, wish, credentials), {
        authorization: credentials === null || credentials.username === '' ? null : basicHeader(credentials),
      }));
    const bytes = await readDocument(answer, this.#parts.wire, LIMITS.tokenBytes);
    if (bytes === null) throw denied(`unable to decode token response: more than ${LIMITS.tokenBytes} bytes`);
    const token = this.#read(bytes);
    if (token === null) throw denied('authorization server did not include a token in the response');
    if (token.refreshToken !== '') target.onRefreshToken?.(token.refreshToken);
    return { header: `Bearer ${token.token}`, expiresMs: token.expiresMs };
  }

  #read(bytes: Buffer): ReturnType<typeof readToken> {
    try {
      return readToken(bytes, this.#parts.clock);
    } catch (error) {
      throw denied(`unable to decode token response: ${errorMessage(error)}`);
    }
  }

  /** Credentials that went to a registry with TLS go nowhere without. */
  #realm(target: AuthTarget, text: string): URL {
    if (!URL.canParse(text, target.origin))
      throw denied(`invalid authorization realm ${JSON.stringify(text)}`);
    const realm = new URL(text, target.origin);
    const isPlain = realm.protocol === 'http:';
    if (realm.protocol !== 'https:' && !isPlain) throw denied(`unsupported realm ${JSON.stringify(text)}`);
    if (isPlain && target.origin.protocol === 'https:' && !target.skipVerify) {
      throw denied(`refused to authenticate at ${realm.origin}: the registry has TLS, its realm has not`);
    }
    realm.username = '';
    realm.password = '';
    return realm;
  }

  /** Null: the server knows no such grant, or not this token; the other way is tried if there is one. */
  async #refresh(
    { target, realm, wish }: { target: AuthTarget; realm: URL; wish: TokenWish },
    token: string,
  ): Promise<Answer | null> {
    const form = Buffer.from(refreshForm(wish, token));
    const { wire } = this.#parts;
    const answer = await exchange(wire, {
      method: 'POST',
      url: realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      authorization: null,
      body: { sizeBytes: form.length, open: () => chunksOf(form), isSecret: true },
      signal: AbortSignal.timeout(wire.timings.documentMs),
      skipVerify: this.#skips(target, realm),
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    if (answer.status === 404 || answer.status === 405) {
      answer.discard();
      return null;
    }
    throw await answerError(answer, wire);
  }

  async #send(target: AuthTarget, url: URL, extra: { authorization: string | null }): Promise<Answer> {
    const { wire } = this.#parts;
    const answer = await exchange(wire, {
      method: 'GET',
      url,
      headers: {},
      ...extra,
      signal: AbortSignal.timeout(wire.timings.documentMs),
      skipVerify: this.#skips(target, url),
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw await answerError(answer, wire);
  }

  #skips(target: AuthTarget, url: URL): boolean {
    return url.host === target.origin.host ? target.skipVerify : this.#parts.isInsecure(url.host);
  }
}

/** The same failure as the reason why a request was not sent. */
export function unauthorizedRequest(method: string, url: URL, error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error;
  const { status, codes, permanent, retryAfterMs } = error;
  return new RegistryError(`${goRequest(method, url)}: ${error.message}`, {
    status,
    codes,
    permanent,
    retryAfterMs,
    reason: error.message,
    cause: error,
  });
}
