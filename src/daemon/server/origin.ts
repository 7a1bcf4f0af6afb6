import type { IncomingMessage } from 'node:http';

/**
 * How a connection came in; unix sockets are guarded by file permissions, TLS with client certificates by
 * those.
 */
export type Transport = 'unix' | 'tcp' | 'tls';

const HOST = /^(?:localhost|[\w.-]+\.localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/i;

/**
 * Whether a request that came over plain TCP may be answered. Browsers send `Origin` with whatever a foreign
 * page asks them to send, and a page whose name was re-bound to this address has that name in `Host`: only
 * addresses and localhost are taken. Null: go on.
 */
export function refusal(request: IncomingMessage, transport: Transport): string | null {
  if (transport !== 'tcp') return null;
  const { origin, host } = request.headers;
  if (origin !== undefined) return 'requests from web pages are refused';
  if (host === undefined || host === '') return null;
  return HOST.test(host)
    ? null
    : `the host name ${JSON.stringify(host.slice(0, 80))} is refused: use an address or localhost`;
}
