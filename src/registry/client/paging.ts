import { LIMITS } from '#base/limits.ts';
import { sameOrigin } from '../transport/redirects.ts';

/* The `Link` header of lists in pages (RFC 8288, as far as registries use it). */

/** The address of the link with this relation, as it stands there. */
export function parseLink(header: string | undefined, relation: string): string | null {
  if (header === undefined || header.length > LIMITS.registryHeaderBytes) return null;
  let at = 0;
  for (;;) {
    const open = header.indexOf('<', at);
    const close = open < 0 ? -1 : header.indexOf('>', open);
    if (close < 0) return null;
    const { end, relations } = parameters(header, close + 1);
    if (relations.includes(relation)) return header.slice(open + 1, close);
    at = end;
  }
}

/** Parameters up to the comma that ends this link; commas between quotes are none. */
function parameters(header: string, from: number): { end: number; relations: readonly string[] } {
  let end = from;
  for (let isQuoted = false; end < header.length; end++) {
    const c = header.charAt(end);
    if (c === '\\' && isQuoted) end++;
    else if (c === '"') isQuoted = !isQuoted;
    else if (c === ',' && !isQuoted) break;
  }
  const found = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(header.slice(from, end));
  const relations = (found?.[1] ?? found?.[2] ?? '').toLowerCase().split(/\s+/);
  return { end: end + 1, relations };
}

/** The next page: of the origin that gave this one and no other, whatever the header says. */
export function nextPage(from: URL, header: string | undefined): URL | null {
  const target = parseLink(header, 'next');
  if (target === null || !URL.canParse(target, from)) return null;
  const url = new URL(target, from);
  url.username = '';
  url.password = '';
  if (sameOrigin(url, from)) return url;
  // Behind a proxy that ends TLS a registry names itself by another scheme.
  if (url.host !== from.host) return null;
  url.protocol = from.protocol;
  return url;
}
