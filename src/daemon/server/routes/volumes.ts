import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { checkFilterKeys, matchLabels, parseFilters, type Filters } from '#api/filters.ts';
import { bodyWrongType, notSwarmNode } from '#api/messages.ts';
import { ANONYMOUS_LABEL, type VolumeView } from '#volume/model.ts';
import type { VolumeBackend } from '../backends.ts';
import { atLeast, jsonBody, type Call, type Route } from '../call.ts';
import { CREATED, OK } from '../http-status.ts';
import { queryFlag } from '../query.ts';

export function volumeRoutes(volumes: VolumeBackend): readonly Route[] {
  return [
    ['GET', '/volumes', async (call) => getVolumesList(volumes, call)],
    ['GET', '/volumes/{name...}', async ({ param, reply }) => reply.json(OK, volumes.inspect(param('name')))],
    ['POST', '/volumes/create', (call) => postVolumesCreate(volumes, call)],
    ['POST', '/volumes/prune', (call) => postVolumesPrune(volumes, call)],
    [
      'DELETE',
      '/volumes/{name...}',
      async ({ param, query, reply }) => {
        await volumes.remove(param('name'), { force: queryFlag(query, 'force') });
        reply.empty();
      },
    ],
  ];
}

const PRUNE_FILTERS: ReadonlySet<string> = new Set(['all', 'label', 'label!']);

/** Since API 1.42 only anonymous volumes go, unless `all` is asked for. */
async function postVolumesPrune(volumes: VolumeBackend, call: Call): Promise<void> {
  const { query, reply } = call;
  const filters = parseFilters(query.get('filters'));
  checkFilterKeys(filters, PRUNE_FILTERS);
  const all = ['1', 'true'].includes(filters.get('all')?.[0] ?? '') || !atLeast(call, '1.42');
  const unwanted = filters.get('label!') ?? [];
  const pruned = await volumes.prune(
    ({ Labels }) =>
      (all || Labels?.[ANONYMOUS_LABEL] !== undefined) &&
      matchLabels(filters.get('label') ?? [], Labels) &&
      !unwanted.some((term) => matchLabels([term], Labels)),
  );
  reply.json(OK, { VolumesDeleted: pruned.names, SpaceReclaimed: pruned.sizeBytes });
}

const FILTERS: ReadonlySet<string> = new Set(['dangling', 'driver', 'label', 'name']);

function selectVolume(volumes: VolumeBackend, volume: VolumeView, filters: Filters): boolean {
  const anyOf = (key: string, matches: (value: string) => boolean): boolean => {
    const values = filters.get(key);
    return values === undefined || values.length === 0 || values.some(matches);
  };
  const dangling = volumes.usedBy(volume.Name).length === 0;
  return (
    anyOf('name', (value) => volume.Name.includes(value)) &&
    anyOf('driver', (value) => volume.Driver === value) &&
    anyOf('dangling', (value) => (value === 'true' || value === '1') === dangling) &&
    matchLabels(filters.get('label') ?? [], volume.Labels)
  );
}

function getVolumesList(volumes: VolumeBackend, { query, reply }: Call): void {
  const filters = parseFilters(query.get('filters'));
  checkFilterKeys(filters, FILTERS);
  reply.json(OK, {
    Volumes: volumes.list().filter((v) => selectVolume(volumes, v, filters)),
    Warnings: null,
  });
}

function textField(value: JsonValue | undefined, name: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  throw new EngineError('invalidArgument', bodyWrongType(typeof value, `CreateOptions.${name}`, 'string'));
}

function textMap(value: JsonValue | undefined, name: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value))
    throw new EngineError(
      'invalidArgument',
      bodyWrongType(typeof value, `CreateOptions.${name}`, 'map[string]string'),
    );
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, textField(one, `${name}.${key}`)]),
  );
}

async function postVolumesCreate(volumes: VolumeBackend, call: Call): Promise<void> {
  const body = (await jsonBody(call)) ?? {};
  if (isJsonObject(body['ClusterVolumeSpec'])) throw new EngineError('unavailable', notSwarmNode());
  const name = textField(body['Name'], 'Name');
  const driver = textField(body['Driver'], 'Driver');
  const options = textMap(body['DriverOpts'], 'DriverOpts');
  const labels = textMap(body['Labels'], 'Labels');
  const created = await volumes.create({
    ...(name !== '' && { name }),
    ...(driver !== '' && { driver }),
    ...(options !== undefined && { options }),
    ...(labels !== undefined && { labels }),
  });
  call.reply.json(CREATED, created);
}
