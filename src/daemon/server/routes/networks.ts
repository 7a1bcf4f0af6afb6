import { EngineError } from '#base/errors.ts';
import { checkFilterKeys, matchLabels, parseFilters, type Filters } from '#api/filters.ts';
import { predefinedNetwork } from '#api/messages.ts';
import type { NetworkView } from '#network/model.ts';
import type { NetworkBackend } from '../backends.ts';
import type { Call, Route } from '../call.ts';
import { OK } from '../http-status.ts';

export function networkRoutes(networks: NetworkBackend): readonly Route[] {
  const list = async (call: Call): Promise<void> => getNetworksList(networks, call);
  return [
    ['GET', '/networks', list],
    ['GET', '/networks/', list],
    ['GET', '/networks/{id...}', async ({ param, reply }) => reply.json(OK, networks.inspect(param('id')))],
    ['DELETE', '/networks/{id...}', async ({ param }) => deleteNetwork(networks, param('id'))],
  ];
}

const FILTERS: ReadonlySet<string> = new Set(['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);

function anyOf(filters: Filters, key: string, matches: (value: string) => boolean): boolean {
  const values = filters.get(key);
  return values === undefined || values.length === 0 || values.some(matches);
}

/** Every network there is so far is predefined, and none of them dangles. */
export function selectNetwork(network: NetworkView, filters: Filters): boolean {
  return (
    anyOf(filters, 'name', (value) => network.Name.includes(value)) &&
    anyOf(filters, 'id', (value) => network.Id.startsWith(value)) &&
    anyOf(filters, 'driver', (value) => network.Driver === value) &&
    anyOf(filters, 'scope', (value) => network.Scope === value) &&
    anyOf(filters, 'type', (value) => value === 'builtin') &&
    anyOf(filters, 'dangling', (value) => value === 'false' || value === '0') &&
    matchLabels(filters.get('label') ?? [], network.Labels)
  );
}

function getNetworksList(networks: NetworkBackend, { query, reply }: Call): void {
  const filters = parseFilters(query.get('filters'));
  checkFilterKeys(filters, FILTERS);
  reply.json(
    OK,
    networks.list().filter((network) => selectNetwork(network, filters)),
  );
}

function deleteNetwork(networks: NetworkBackend, id: string): never {
  throw new EngineError('permissionDenied', predefinedNetwork(networks.inspect(id).Name));
}
