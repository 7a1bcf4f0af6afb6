import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonValue } from '#base/json.ts';
import { connectHostNetwork, noSuchPlugin, notConnected, predefinedNetworkTaken } from '#api/messages.ts';
import type { Backends } from '../backends.ts';
import { jsonBody, type Call } from '../call.ts';

/*
 * A request that is wrong in itself is told so, even where the verb does not exist yet: a script that asks
 * for a container that is not there gets the answer it knows.
 */

export interface Known {
  readonly containers: Pick<Backends['containers'], 'inspect'>;
  readonly networks: Pick<Backends['networks'], 'inspect' | 'list'>;
}

/** Returns when nothing but the missing verb is in the way. */
export type RefusalCheck = (known: Known, call: Call) => Promise<void>;

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Errors: `notFound`. */
export async function checkContainer({ containers }: Known, call: Call): Promise<void> {
  await containers.inspect(call.param('id'), { size: false, apiVersion: call.apiVersion });
}

/** Errors: `invalidArgument`, `permissionDenied`, `notFound`. */
export async function checkNetworkCreate({ networks }: Known, call: Call): Promise<void> {
  const body = (await jsonBody(call)) ?? {};
  const name = textOf(body['Name']);
  const driver = textOf(body['Driver']);
  if (name === '') throw new EngineError('invalidArgument', 'invalid name: name is empty');
  if (networks.list().some((network) => network.Name === name))
    throw new EngineError('permissionDenied', predefinedNetworkTaken(name));
  if (!['', 'bridge', 'host', 'null'].includes(driver))
    throw new EngineError('notFound', noSuchPlugin(driver));
}

interface Endpoint {
  readonly network: string;
  readonly container: string;
  readonly isConnected: boolean;
}

async function endpointOf({ networks, containers }: Known, call: Call): Promise<Endpoint> {
  const body = (await jsonBody(call)) ?? {};
  const network = networks.inspect(call.param('id')).Name;
  const options = { size: false, apiVersion: call.apiVersion };
  const container = await containers.inspect(textOf(body['Container']), options);
  const settings = container['NetworkSettings'];
  const endpoints = isJsonObject(settings) ? settings['Networks'] : undefined;
  const isConnected = isJsonObject(endpoints) && Object.hasOwn(endpoints, network);
  return { network, container: textOf(container['Id']), isConnected };
}

/** Errors: `notFound`, `invalidArgument`. */
export async function checkNetworkConnect(known: Known, call: Call): Promise<void> {
  const { network } = await endpointOf(known, call);
  if (network === 'host') throw new EngineError('invalidArgument', connectHostNetwork());
}

/** Errors: `notFound`, `internal` when it is not connected. */
export async function checkNetworkDisconnect(known: Known, call: Call): Promise<void> {
  const { network, container, isConnected } = await endpointOf(known, call);
  if (!isConnected) throw new EngineError('internal', notConnected(container, network));
}
