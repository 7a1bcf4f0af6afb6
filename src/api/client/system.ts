import type * as op from '../generated-system-operations.ts';
import type { EventMessage, SystemInfo, SystemVersion } from '../generated-system.ts';
import type { EngineClient } from './client.ts';
import { asQuery } from './query.ts';

export async function ping(client: EngineClient): Promise<void> {
  await client.send('GET', '/_ping', { versioned: false });
}

export function version(client: EngineClient): Promise<SystemVersion> {
  return client.json('GET', '/version');
}

export function info(client: EngineClient): Promise<SystemInfo> {
  return client.json('GET', '/info');
}

export function diskUsage(
  client: EngineClient,
  options?: op.SystemDataUsageQuery,
): Promise<op.SystemDataUsageReply> {
  return client.json('GET', '/system/df', { query: asQuery(options) });
}

export function events(
  client: EngineClient,
  options?: op.SystemEventsQuery & { readonly signal?: AbortSignal },
): AsyncGenerator<EventMessage> {
  const { signal, ...rest } = options ?? {};
  return client.lines('GET', '/events', { query: asQuery(rest), signal });
}
