import type * as op from '../generated-network-operations.ts';
import type { Network } from '../generated-network.ts';
import type { EngineClient } from './client.ts';
import { asQuery } from './query.ts';

export function list(client: EngineClient, options?: op.NetworkListQuery): Promise<op.NetworkListReply> {
  return client.json('GET', '/networks', { query: asQuery(options) });
}

export function inspect(
  client: EngineClient,
  id: string,
  options?: op.NetworkInspectQuery,
): Promise<Network> {
  return client.json('GET', `/networks/${encodeURIComponent(id)}`, { query: asQuery(options) });
}
