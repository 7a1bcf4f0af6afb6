import type * as op from '../generated-container-operations.ts';
import type {
  ContainerCreateResponse,
  ContainerInspectResponse,
  ContainerTopResponse,
  ContainerWaitResponse,
} from '../generated-container.ts';
import type { ApiResponse, EngineClient, Hijacked } from './client.ts';
import { asQuery } from './query.ts';

const at = (id: string, verb: string): string => `/containers/${encodeURIComponent(id)}${verb}`;

export function list(client: EngineClient, options?: op.ContainerListQuery): Promise<op.ContainerListReply> {
  return client.json('GET', '/containers/json', { query: asQuery(options) });
}

export function create(
  client: EngineClient,
  body: op.ContainerCreateBody,
  options?: op.ContainerCreateQuery,
): Promise<ContainerCreateResponse> {
  return client.json('POST', '/containers/create', { json: body, query: asQuery(options) });
}

export function inspect(
  client: EngineClient,
  id: string,
  options?: op.ContainerInspectQuery,
): Promise<ContainerInspectResponse> {
  return client.json('GET', at(id, '/json'), { query: asQuery(options) });
}

/** False when it ran already. */
export async function start(
  client: EngineClient,
  id: string,
  options?: op.ContainerStartQuery,
): Promise<boolean> {
  return (await client.send('POST', at(id, '/start'), { query: asQuery(options) })) !== 304;
}

export async function stop(
  client: EngineClient,
  id: string,
  options?: op.ContainerStopQuery,
): Promise<boolean> {
  return (await client.send('POST', at(id, '/stop'), { query: asQuery(options) })) !== 304;
}

export async function restart(
  client: EngineClient,
  id: string,
  options?: op.ContainerRestartQuery,
): Promise<void> {
  await client.send('POST', at(id, '/restart'), { query: asQuery(options) });
}

export async function kill(client: EngineClient, id: string, options?: op.ContainerKillQuery): Promise<void> {
  await client.send('POST', at(id, '/kill'), { query: asQuery(options) });
}

export async function pause(client: EngineClient, id: string): Promise<void> {
  await client.send('POST', at(id, '/pause'));
}

export async function unpause(client: EngineClient, id: string): Promise<void> {
  await client.send('POST', at(id, '/unpause'));
}

export async function rename(client: EngineClient, id: string, name: string): Promise<void> {
  await client.send('POST', at(id, '/rename'), { query: { name } });
}

export async function remove(
  client: EngineClient,
  id: string,
  options?: op.ContainerDeleteQuery,
): Promise<void> {
  await client.send('DELETE', at(id, ''), { query: asQuery(options) });
}

export async function resize(
  client: EngineClient,
  id: string,
  options: op.ContainerResizeQuery,
): Promise<void> {
  await client.send('POST', at(id, '/resize'), { query: asQuery(options) });
}

export function top(
  client: EngineClient,
  id: string,
  options?: op.ContainerTopQuery,
): Promise<ContainerTopResponse> {
  return client.json('GET', at(id, '/top'), { query: asQuery(options) });
}

export interface WaitOptions extends op.ContainerWaitQuery {
  readonly signal?: AbortSignal;
}

/** Resolves when the daemon has set the wait up; `reply` follows when the condition is met. */
export async function wait(
  client: EngineClient,
  id: string,
  options: WaitOptions = {},
): Promise<{ readonly reply: Promise<ContainerWaitResponse> }> {
  const { signal, ...rest } = options;
  const response = await client.call('POST', at(id, '/wait'), { query: asQuery(rest), signal });
  const read = async (): Promise<ContainerWaitResponse> => {
    const chunks: Buffer[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString()) as ContainerWaitResponse;
  };
  return { reply: read() };
}

/** The content type of the answer says whether frames or raw bytes come. */
export function logs(
  client: EngineClient,
  id: string,
  options: op.ContainerLogsQuery & { readonly signal?: AbortSignal },
): Promise<ApiResponse> {
  const { signal, ...rest } = options;
  return client.call('GET', at(id, '/logs'), { query: asQuery(rest), signal });
}

export function attach(
  client: EngineClient,
  id: string,
  options: op.ContainerAttachQuery,
): Promise<Hijacked> {
  return client.hijack('POST', at(id, '/attach'), { query: asQuery(options) });
}

export function prune(
  client: EngineClient,
  options?: op.ContainerPruneQuery,
): Promise<op.ContainerPruneReply> {
  return client.json('POST', '/containers/prune', { query: asQuery(options) });
}
