import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { parseFilters } from '#api/filters.ts';
import { searchLimitRange, searchLimitSyntax } from '#api/messages.ts';
import type { JsonObject } from '#base/json.ts';
import { isDigest } from '#oci/digest.ts';
import { parseReference, withTag, type Reference } from '#oci/reference.ts';
import { readCredentials } from '#registry/credentials.ts';
import type { ImageBackend } from '../backends.ts';
import { atLeast, jsonBody, type Call, type Route } from '../call.ts';
import { OK } from '../http-status.ts';
import { queryText } from '../query.ts';
import { ProgressStream } from '../reply.ts';
import { credentialsOf, platformQuery } from './images.ts';

/** What asks a registry, and what sends something to one. */
export function registryRoutes(images: ImageBackend): readonly Route[] {
  const on = (verb: (backend: ImageBackend, call: Call) => Promise<void>) => (call: Call) =>
    verb(images, call);
  return [
    ['POST', '/auth', on(postAuth)],
    ['GET', '/images/search', on(getImagesSearch)],
    ['POST', '/images/{name...}/push', on(postImagesPush)],
    ['GET', '/distribution/{name...}/json', on(getDistribution)],
  ];
}

/** What is wrong with the body is the server's fault here, in the reference's view. */
async function authBody(call: Call): Promise<JsonObject> {
  try {
    const body = await jsonBody(call);
    if (body !== null) return body;
  } catch (error) {
    if (!isEngineError(error, 'invalidArgument')) throw error;
    const message = errorMessage(error).replace(/^invalid JSON: /, '');
    throw new EngineError('internal', message, { cause: error });
  }
  throw new EngineError('internal', 'EOF');
}

async function postAuth(images: ImageBackend, call: Call): Promise<void> {
  const credentials = readCredentials(await authBody(call));
  if (credentials === null) throw new EngineError('internal', 'EOF');
  const { status, identityToken } = await images.login(credentials);
  call.reply.json(OK, { IdentityToken: identityToken, Status: status });
}

const DEFAULT_LIMIT = 25;
const MOST_RESULTS = 100;

function searchLimit(text: string): number {
  if (text === '') return DEFAULT_LIMIT;
  if (!/^[+-]?\d{1,15}$/.test(text)) throw new EngineError('invalidArgument', searchLimitSyntax(text));
  const limit = Number(text);
  if (limit < 0 || limit > MOST_RESULTS) throw new EngineError('invalidArgument', searchLimitRange(limit));
  return limit === 0 ? DEFAULT_LIMIT : limit;
}

async function getImagesSearch(images: ImageBackend, call: Call): Promise<void> {
  const { query, reply } = call;
  const found = await images.search(queryText(query, 'term'), {
    limit: searchLimit(queryText(query, 'limit')),
    filters: parseFilters(query.get('filters')),
    credentials: credentialsOf(call),
  });
  reply.json(
    OK,
    found.map(({ name, description, starCount, isOfficial, isAutomated }) => ({
      star_count: starCount,
      is_official: isOfficial,
      name,
      is_automated: isAutomated,
      description,
    })),
  );
}

/** `tag` may be a digest; without one every tag of the repository is meant. */
function pushedReference(name: string, tag: string): Reference {
  const reference = parseReference(name);
  if (tag === '') return reference;
  return isDigest(tag)
    ? { ...reference, tag: null, digest: tag }
    : { ...withTag(reference, tag), digest: null };
}

async function postImagesPush(images: ImageBackend, call: Call): Promise<void> {
  const { query, reply, param, signal } = call;
  const reference = pushedReference(param('name'), queryText(query, 'tag'));
  // Older clients send one that means nothing.
  const platform = atLeast(call, '1.46') ? platformQuery(query) : {};
  const progress = new ProgressStream(reply);
  try {
    await images.push(reference, {
      ...platform,
      credentials: credentialsOf(call),
      signal,
      onProgress: (line) => progress.send(line),
    });
    progress.end();
  } catch (error) {
    progress.fail(error);
  }
}

async function getDistribution(images: ImageBackend, call: Call): Promise<void> {
  const reference = parseReference(call.param('name'));
  call.reply.json(OK, await images.distribution(reference, credentialsOf(call)));
}
