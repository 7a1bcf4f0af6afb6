import { EngineError } from '#base/errors.ts';
import { parseFilters } from '#api/filters.ts';
import { multiplePlatforms, noImportSource, scratchReserved } from '#api/messages.ts';
import { isDigest } from '#oci/digest.ts';
import { parsePlatform, type Platform } from '#oci/platform.ts';
import { familiarName, parseReference, withTag, type Reference } from '#oci/reference.ts';
import { decodeRegistryAuth, type Credentials } from '#registry/credentials.ts';
import { isJsonObject, parseJson } from '#base/json.ts';
import type { ImageProgress } from '#image/image-service.ts';
import type { ImageBackend } from '../backends.ts';
import { atLeast, type Call, type Route } from '../call.ts';
import { CREATED, OK } from '../http-status.ts';
import { queryFlag, queryText } from '../query.ts';
import { ProgressStream } from '../reply.ts';
import { streamedBody } from '../streamed-body.ts';
import { detailsFor, summaryFor } from './image-legacy.ts';

export function imageRoutes(images: ImageBackend): readonly Route[] {
  const on = (verb: (backend: ImageBackend, call: Call) => Promise<void>) => (call: Call) =>
    verb(images, call);
  return [
    ['GET', '/images/json', on(getImagesJson)],
    ['GET', '/images/get', on(getImagesGet)],
    ['GET', '/images/{name...}/get', on(getImagesGet)],
    ['GET', '/images/{name...}/history', on(getImagesHistory)],
    ['GET', '/images/{name...}/json', on(getImagesByName)],
    ['POST', '/images/load', on(postImagesLoad)],
    ['POST', '/images/create', on(postImagesCreate)],
    ['POST', '/images/prune', on(postImagesPrune)],
    ['POST', '/images/{name...}/tag', on(postImagesTag)],
    ['DELETE', '/images/{name...}', on(deleteImages)],
  ];
}

/** `{"os":"linux","architecture":"amd64"}`, as newer clients send it, or `linux/amd64`. */
function platformOf(text: string): Platform | undefined {
  if (text === '') return undefined;
  if (!text.startsWith('{')) return parsePlatform(text);
  const value = parseJson(text, 'platform');
  if (!isJsonObject(value)) throw new EngineError('invalidArgument', `invalid platform: ${text}`);
  const field = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
  const variant = field('variant');
  return { os: field('os'), architecture: field('architecture'), ...(variant !== '' && { variant }) };
}

export function platformQuery(query: URLSearchParams): { readonly platform?: Platform } {
  const platform = platformOf(queryText(query, 'platform'));
  return platform === undefined ? {} : { platform };
}

/** Of routes with one at most. */
function onlyPlatform(query: URLSearchParams): Platform | undefined {
  if (query.getAll('platform').length > 1) throw new EngineError('invalidArgument', multiplePlatforms());
  return platformQuery(query).platform;
}

async function getImagesJson(images: ImageBackend, { query, reply, apiVersion }: Call): Promise<void> {
  const filters = new Map(parseFilters(query.get('filters')));
  const name = queryText(query, 'filter');
  if (name !== '') filters.set('reference', [...(filters.get('reference') ?? []), name]);
  const options = { all: queryFlag(query, 'all'), sharedSize: queryFlag(query, 'shared-size'), filters };
  reply.json(
    OK,
    (await images.list(options)).map((image) => summaryFor(image, apiVersion)),
  );
}

async function getImagesByName(images: ImageBackend, call: Call): Promise<void> {
  const { query, reply, param, apiVersion } = call;
  const image = await images.inspect(param('name'), platformQuery(query).platform);
  reply.json(OK, detailsFor(image, apiVersion));
}

async function getImagesHistory(images: ImageBackend, { query, reply, param }: Call): Promise<void> {
  reply.json(OK, await images.history(param('name'), platformQuery(query).platform));
}

/**
 * An archive of images; what goes wrong after the first byte cuts the connection, so that nobody takes half
 * for the whole.
 */
async function getImagesGet(images: ImageBackend, call: Call): Promise<void> {
  const name = call.param('name');
  const names = name === '' ? call.query.getAll('names').flatMap((value) => value.split(',')) : [name];
  const archive = await images.save(names, onlyPlatform(call.query));
  call.reply.begin('application/x-tar');
  for await (const chunk of archive) await call.reply.write(chunk as Buffer);
  call.reply.end();
}

async function postImagesLoad(images: ImageBackend, call: Call): Promise<void> {
  const progress = new ProgressStream(call.reply);
  const platform = onlyPlatform(call.query);
  try {
    await images.load(streamedBody(call.request), {
      quiet: queryFlag(call.query, 'quiet'),
      signal: call.signal,
      ...(platform !== undefined && { platforms: [platform] }),
      onProgress: (line) => progress.send(line),
    });
    progress.end();
  } catch (error) {
    progress.fail(error, true);
  }
}

/** Pull and import share one operation of the API. */
async function postImagesCreate(images: ImageBackend, call: Call): Promise<void> {
  const { query } = call;
  if (queryText(query, 'fromSrc') === '' && queryText(query, 'fromImage') === '')
    throw new EngineError('internal', noImportSource());
  if (query.get('fromSrc') === null) return pullImages(images, call);
  const source = queryText(query, 'fromSrc');
  const how = {
    repo: queryText(query, 'repo'),
    tag: queryText(query, 'tag'),
    message: queryText(query, 'message'),
    changes: query.getAll('changes'),
    ...platformQuery(query),
  };
  const progress = new ProgressStream(call.reply);
  const onProgress = (line: ImageProgress): void => progress.send(line);
  try {
    const id = await (source === '-'
      ? images.importTar(streamedBody(call.request), how)
      : images.importUrl(source, { ...how, signal: call.signal, onProgress }));
    progress.send({ status: id });
    progress.end();
  } catch (error) {
    progress.fail(error);
  }
}

/** `tag` may be a digest; without one, and without one in the name, every tag is meant. */
function pulledReference(query: URLSearchParams): Reference {
  const reference = parseReference(queryText(query, 'fromImage'));
  const tag = queryText(query, 'tag');
  if (tag === '') return reference;
  if (isDigest(tag)) return { ...reference, tag: null, digest: tag };
  if (tag.startsWith('sha256:')) return parseReference(`${familiarName(reference)}@${tag}`);
  return { ...withTag(reference, tag), digest: null };
}

export function credentialsOf({ request }: Call): Credentials | null {
  const header = request.headers['x-registry-auth'];
  return typeof header === 'string' ? decodeRegistryAuth(header) : null;
}

async function pullImages(images: ImageBackend, call: Call): Promise<void> {
  const { query, reply, signal } = call;
  const platform = platformQuery(query);
  const reference = pulledReference(query);
  if (familiarName(reference) === 'scratch') throw new EngineError('permissionDenied', scratchReserved());
  const progress = new ProgressStream(reply);
  try {
    await images.pull(reference, {
      ...platform,
      all: reference.tag === null && reference.digest === null,
      credentials: credentialsOf(call),
      signal,
      onProgress: (line) => progress.send(line),
    });
    progress.end();
  } catch (error) {
    progress.fail(error);
  }
}

async function postImagesTag(images: ImageBackend, { query, reply, param }: Call): Promise<void> {
  await images.tag(param('name'), queryText(query, 'repo'), queryText(query, 'tag'));
  reply.empty(CREATED);
}

async function postImagesPrune(images: ImageBackend, { query, reply }: Call): Promise<void> {
  const { deleted, spaceReclaimedBytes } = await images.prune(parseFilters(query.get('filters')));
  reply.json(OK, {
    ImagesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: spaceReclaimedBytes,
  });
}

async function deleteImages(images: ImageBackend, call: Call): Promise<void> {
  const { query } = call;
  const options = { force: queryFlag(query, 'force'), noPrune: queryFlag(query, 'noprune') };
  const platforms = atLeast(call, '1.50') ? platformOf(query.getAll('platforms')[0] ?? '') : undefined;
  const removed = await images.remove(call.param('name'), {
    ...options,
    ...(platforms && { platform: platforms }),
  });
  call.reply.json(OK, removed);
}
