import { errorMessage } from '#base/errors.ts';
import { isJsonObject, parseJson, type JsonValue } from '#base/json.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { LIMITS } from '#base/limits.ts';
import { stringMap } from '#oci/descriptor.ts';
import { basicHeader } from '../auth/token-request.ts';
import type { SearchResult } from '../client.ts';
import type { Credentials } from '../credentials.ts';
import type { Endpoint } from '../endpoints.ts';
import { RegistryError } from '../errors.ts';
import { exchange, readDocument, type Answer, type Wire } from '../transport/exchange.ts';

/* `GET /v1/search`, the one part of the first protocol that is still spoken. */

/** Where Docker Hub is searched. */
export const HUB_INDEX = 'https://index.docker.io';

function readResult(value: JsonValue): SearchResult | null {
  if (!isJsonObject(value)) return null;
  const { name = '', description = '' } = stringMap(value);
  const stars = value['star_count'];
  return {
    name,
    description,
    starCount: typeof stars === 'number' && Number.isSafeInteger(stars) ? stars : 0,
    isOfficial: value['is_official'] === true,
    isAutomated: value['is_automated'] === true,
  };
}

export interface SearchQuery {
  readonly term: string;
  readonly limit: number;
  readonly credentials: Credentials | null;
}

async function parseResults(bytes: Buffer): Promise<JsonValue> {
  try {
    await checkJsonWeight(bytes, 'JSON');
    return parseJson(bytes.toString('utf8'), 'JSON');
  } catch (error) {
    const message = `error decoding registry search results: ${errorMessage(error)}`;
    throw new RegistryError(message, { status: 0, permanent: true });
  }
}

/** Asks the only one of these addresses, or the first one that answers. */
export async function searchIndex(
  wire: Wire,
  endpoints: readonly Endpoint[],
  query: SearchQuery,
): Promise<readonly SearchResult[]> {
  const [only] = endpoints;
  const isKnown = only !== undefined && only.base === HUB_INDEX;
  const answer = await ask(wire, isKnown ? only : await answering(wire, endpoints), query);
  if (answer.status !== 200) {
    answer.discard();
    throw new RegistryError(`Unexpected status code ${answer.status}`, { status: 0 });
  }
  const bytes = await readDocument(answer, wire, LIMITS.searchBytes);
  if (bytes === null) {
    throw new RegistryError(`the search gives more than ${LIMITS.searchBytes} bytes`, { status: 0 });
  }
  const value = await parseResults(bytes);
  const results = isJsonObject(value) ? value['results'] : undefined;
  return (Array.isArray(results) ? results : []).map(readResult).filter((result) => result !== null);
}

async function ask(wire: Wire, endpoint: Endpoint, query: SearchQuery): Promise<Answer> {
  const { credentials, term, limit } = query;
  const url = new URL(`${endpoint.base}/v1/search`);
  url.searchParams.set('q', term);
  url.searchParams.set('n', String(limit));
  return await exchange(wire, {
    method: 'GET',
    url,
    headers: { accept: 'application/json' },
    authorization: credentials === null || credentials.username === '' ? null : basicHeader(credentials),
    signal: AbortSignal.timeout(wire.timings.documentMs),
    skipVerify: endpoint.skipVerify,
  });
}

/** The first address that answers at all; which status it has does not matter. */
async function answering(wire: Wire, endpoints: readonly Endpoint[]): Promise<Endpoint> {
  const failures: string[] = [];
  for (const endpoint of endpoints) {
    try {
      const answer = await exchange(wire, {
        method: 'GET',
        url: new URL(`${endpoint.base}/v1/_ping`),
        headers: {},
        authorization: null,
        signal: AbortSignal.timeout(wire.timings.documentMs),
        skipVerify: endpoint.skipVerify,
      });
      answer.discard();
      return endpoint;
    } catch (error) {
      failures.push(errorMessage(error));
    }
  }
  throw unreachable(endpoints, failures);
}

function unreachable(endpoints: readonly Endpoint[], [first = '', second]: readonly string[]): RegistryError {
  const host = endpoints[0]?.host ?? '';
  const message =
    second === undefined
      ? `invalid registry endpoint https://${host}/v1/: ${first}. If this private registry supports only HTTP or HTTPS with an unknown CA certificate, please add \`--insecure-registry ${host}\` to the daemon's arguments. In the case of HTTPS, if you have access to the registry's CA certificate, no need for the flag; simply place the CA certificate at /etc/docker/certs.d/${host}/ca.crt`
      : `invalid registry endpoint "http://${host}/v1/". HTTPS attempt: ${first}. HTTP attempt: ${second}`;
  return new RegistryError(message, { status: 0, permanent: true, kind: 'invalidArgument' });
}
