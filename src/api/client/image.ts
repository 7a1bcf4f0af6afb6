import type { ImageDifference, ImageExplanation, PrunePlan, PullPlan } from '../gantry-images.ts';
import type { ImageInspect } from '../generated-image.ts';
import type * as op from '../generated-image-operations.ts';
import type { ApiResponse, EngineClient } from './client.ts';
import { asQuery } from './query.ts';

/** One line of what load, import and pull send. */
export interface ProgressLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly aux?: unknown;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string; readonly hint?: string };
}

/** Slashes of a reference stay: they are part of the path. */
const at = (name: string, verb: string): string =>
  `/images/${name.split('/').map(encodeURIComponent).join('/')}${verb}`;

export function list(client: EngineClient, options?: op.ImageListQuery): Promise<op.ImageListReply> {
  return client.json('GET', '/images/json', { query: asQuery(options) });
}

export function inspect(
  client: EngineClient,
  name: string,
  options?: op.ImageInspectQuery,
): Promise<ImageInspect> {
  return client.json('GET', at(name, '/json'), { query: asQuery(options) });
}

export function history(client: EngineClient, name: string): Promise<op.ImageHistoryReply> {
  return client.json('GET', at(name, '/history'));
}

export function load(
  client: EngineClient,
  archive: AsyncIterable<Uint8Array>,
  options?: op.ImageLoadQuery,
): AsyncGenerator<ProgressLine> {
  return client.lines('POST', '/images/load', {
    stream: archive,
    contentType: 'application/x-tar',
    query: asQuery(options),
  });
}

/** Import: `fromSrc` is `-` and `archive` the root file system. */
export function importArchive(
  client: EngineClient,
  archive: AsyncIterable<Uint8Array>,
  options: op.ImageCreateQuery,
): AsyncGenerator<ProgressLine> {
  return client.lines('POST', '/images/create', {
    stream: archive,
    contentType: 'application/x-tar',
    query: asQuery(options),
  });
}

function authHeader(auth: string | undefined): Record<string, string> {
  return auth === undefined ? {} : { 'x-registry-auth': auth };
}

/** `auth`: the X-Registry-Auth header, base64url. */
export function pull(
  client: EngineClient,
  options: op.ImageCreateQuery,
  auth?: string,
): AsyncGenerator<ProgressLine> {
  return client.lines('POST', '/images/create', { query: asQuery(options), headers: authHeader(auth) });
}

export function save(client: EngineClient, options: op.ImageGetAllQuery): Promise<ApiResponse> {
  return client.call('GET', '/images/get', { query: asQuery(options) });
}

export async function tag(client: EngineClient, name: string, options: op.ImageTagQuery): Promise<void> {
  await client.send('POST', at(name, '/tag'), { query: asQuery(options) });
}

export function remove(
  client: EngineClient,
  name: string,
  options?: op.ImageDeleteQuery,
): Promise<op.ImageDeleteReply> {
  return client.json('DELETE', at(name, ''), { query: asQuery(options) });
}

export function prune(client: EngineClient, options?: op.ImagePruneQuery): Promise<op.ImagePruneReply> {
  return client.json('POST', '/images/prune', { query: asQuery(options) });
}

/** Of this engine only, as what follows. */
export function explain(client: EngineClient, name: string): Promise<ImageExplanation> {
  return client.json('GET', `/gantry/v1${at(name, '/explain')}`, { versioned: false });
}

export function diff(client: EngineClient, before: string, after: string): Promise<ImageDifference> {
  return client.json('GET', '/gantry/v1/images-diff', {
    query: asQuery({ a: before, b: after }),
    versioned: false,
  });
}

export function planPrune(client: EngineClient, options: op.ImagePruneQuery): Promise<PrunePlan> {
  return client.json('POST', '/gantry/v1/images/plan-prune', { query: asQuery(options), versioned: false });
}

export function planPull(
  client: EngineClient,
  options: { readonly reference: string; readonly platform: string },
  auth?: string,
): Promise<PullPlan> {
  const more = { headers: authHeader(auth), versioned: false };
  return client.json('POST', '/gantry/v1/images/plan-pull', { query: asQuery(options), ...more });
}
