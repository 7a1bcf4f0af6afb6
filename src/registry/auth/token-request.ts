import { parseJson, isJsonObject } from '#base/json.ts';
import type { Clock } from '#base/clock.ts';
import { stringMap } from '#oci/descriptor.ts';
import type { Credentials } from '../credentials.ts';
import type { Challenge } from './challenge.ts';

/*
 * What is asked of an authorization server, and what it says: docker's token protocol and its OAuth 2 form.
 * Pure; the authorizer sends it.
 */

export const CLIENT_ID = 'docker';
/** A token that names no end holds so long, and none counts as shorter. */
const LIFETIME_SECONDS = 60;
/** So much earlier a token is not used any more. */
const MARGIN_MS = 10_000;

export interface TokenWish {
  readonly service: string;
  readonly scopes: readonly string[];
  /** A token that never ends is asked for too: for logins. */
  readonly offline: boolean;
}

export function tokenWish(challenge: Challenge, scopes: readonly string[], offline: boolean): TokenWish {
  const named = (challenge.parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== '');
  return {
    service: challenge.parameters.get('service') ?? '',
    scopes: [...new Set([...scopes, ...named])],
    offline,
  };
}

/** For GET, with Basic credentials beside it. */
export function tokenQuery(realm: URL, wish: TokenWish, credentials: Credentials | null): URL {
  const url = new URL(realm);
  const user = credentials?.username ?? '';
  if (user !== '') url.searchParams.append('account', user);
  if (wish.offline) {
    url.searchParams.append('client_id', CLIENT_ID);
    url.searchParams.append('offline_token', 'true');
  }
  for (const scope of wish.scopes) url.searchParams.append('scope', scope);
  if (wish.service !== '') url.searchParams.append('service', wish.service);
  return url;
}

/** For POST: a refresh token for an access token. */
export function refreshForm(wish: TokenWish, refreshToken: string): string {
  return new URLSearchParams({
    client_id: CLIENT_ID,
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    scope: wish.scopes.join(' '),
    service: wish.service,
  }).toString();
}

export interface Token {
  readonly token: string;
  readonly refreshToken: string;
  readonly expiresMs: number;
}

/** Null: there is no token in it, or none that fits into a header. Errors: `invalidArgument`. */
export function readToken(bytes: Buffer, clock: Clock): Token | null {
  const value = parseJson(bytes.toString('utf8'), 'token response');
  if (!isJsonObject(value)) return null;
  const texts = stringMap(value);
  const token = texts['token'] || texts['access_token'] || '';
  if (!/^[\x21-\x7e]+$/.test(token)) return null;
  const seconds = typeof value['expires_in'] === 'number' ? value['expires_in'] : LIFETIME_SECONDS;
  const lifetimeMs = Math.max(LIFETIME_SECONDS, seconds) * 1000;
  return {
    token,
    refreshToken: texts['refresh_token'] ?? '',
    expiresMs: clock.nowMs() + lifetimeMs - MARGIN_MS,
  };
}

export function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
