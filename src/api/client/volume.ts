import type { Volume, VolumeCreateOptions, VolumeListResponse } from '../generated-volume.ts';
import type * as op from '../generated-volume-operations.ts';
import type { EngineClient } from './client.ts';
import { asQuery } from './query.ts';

export function list(client: EngineClient, options?: op.VolumeListQuery): Promise<VolumeListResponse> {
  return client.json('GET', '/volumes', { query: asQuery(options) });
}

export function inspect(client: EngineClient, name: string): Promise<Volume> {
  return client.json('GET', `/volumes/${encodeURIComponent(name)}`);
}

export function create(client: EngineClient, body: VolumeCreateOptions): Promise<Volume> {
  return client.json('POST', '/volumes/create', { json: body });
}

export async function remove(
  client: EngineClient,
  name: string,
  options?: op.VolumeDeleteQuery,
): Promise<void> {
  await client.send('DELETE', `/volumes/${encodeURIComponent(name)}`, { query: asQuery(options) });
}
