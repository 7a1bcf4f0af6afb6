import type * as op from '../generated-exec-operations.ts';
import type { EngineClient, Hijacked } from './client.ts';
import { asQuery } from './query.ts';

const at = (id: string, verb: string): string => `/exec/${encodeURIComponent(id)}${verb}`;

export async function create(
  client: EngineClient,
  container: string,
  body: op.ContainerExecBody,
): Promise<string> {
  const path = `/containers/${encodeURIComponent(container)}/exec`;
  return (await client.json<{ Id: string }>('POST', path, { json: body })).Id;
}

export function startAttached(client: EngineClient, id: string, body: op.ExecStartBody): Promise<Hijacked> {
  return client.hijack('POST', at(id, '/start'), { json: { ...body, Detach: false } });
}

export async function startDetached(client: EngineClient, id: string, body: op.ExecStartBody): Promise<void> {
  await client.send('POST', at(id, '/start'), { json: { ...body, Detach: true } });
}

export function inspect(client: EngineClient, id: string): Promise<op.ExecInspectReply> {
  return client.json('GET', at(id, '/json'));
}

export async function resize(client: EngineClient, id: string, options: op.ExecResizeQuery): Promise<void> {
  await client.send('POST', at(id, '/resize'), { query: asQuery(options) });
}
