/*
 * Where an answer sends its reader, and what may go there. Pure: the exchange asks, this decides.
 */

export interface Hop {
  readonly method: string;
  readonly url: URL;
  /** Whether the Authorization header may go there. */
  readonly keepsAuthorization: boolean;
  readonly keepsBody: boolean;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

export function sameOrigin(a: URL, b: URL): boolean {
  return a.protocol === b.protocol && a.host === b.host;
}

export interface LocationRules {
  /** The registry is insecure, or was asked without TLS: an address without TLS is no step down. */
  readonly allowPlain: boolean;
}

/**
 * A `Location`, absolute or relative, as an address that may be asked; otherwise the reason why not. Registries
 * behind a proxy that ends TLS name themselves without it: the same host is asked with TLS then.
 */
export function resolveLocation(from: URL, location: string, rules: LocationRules): URL | string {
  if (!URL.canParse(location, from)) return `failed to parse Location header ${JSON.stringify(location)}`;
  const url = new URL(location, from);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return `unsupported protocol scheme ${JSON.stringify(url.protocol.slice(0, -1))}`;
  }
  url.username = '';
  url.password = '';
  if (url.protocol === 'https:' || from.protocol === 'http:') return url;
  if (url.host === from.host) {
    url.protocol = 'https:';
    return url;
  }
  return rules.allowPlain ? url : `refused to follow a redirect from HTTPS to ${url.origin}`;
}

export interface Redirected {
  readonly method: string;
  readonly url: URL;
  readonly status: number;
  readonly location: string;
  /** The body carries credentials: it goes to no other origin. */
  readonly hasSecretBody: boolean;
}

/** The next request, or why there is none. */
export function nextHop(from: Redirected, rules: LocationRules): Hop | string {
  const url = resolveLocation(from.url, from.location, rules);
  if (typeof url === 'string') return url;
  const keepsBody = from.status === 307 || from.status === 308;
  const isRead = from.method === 'GET' || from.method === 'HEAD';
  if (!isRead && !keepsBody) {
    return `${from.status} response to a ${from.method} names another address`;
  }
  const isSame = sameOrigin(from.url, url);
  if (from.hasSecretBody && !isSame) return `refused to follow a redirect with credentials to ${url.origin}`;
  return { method: from.method, url, keepsAuthorization: isSame, keepsBody };
}
