import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { NetworkView } from '#network/model.ts';
import type { Call } from '../call.ts';
import type { Known } from './refusal-checks.ts';
import { unsupportedRoutes } from './unsupported.ts';
import { Router } from '../router.ts';

const NETWORKS = ['bridge', 'host', 'none'].map((Name) => ({ Name }) as NetworkView);

const known: Known = {
  containers: {
    inspect: async (reference) => {
      if (reference !== 'c1') throw new EngineError('notFound', `No such container: ${reference}`);
      return { Id: 'abc', NetworkSettings: { Networks: { bridge: {} } } };
    },
  },
  networks: {
    list: () => NETWORKS,
    inspect: (name) => {
      const found = NETWORKS.find((network) => network.Name === name);
      if (found === undefined) throw new EngineError('notFound', `network ${name} not found`);
      return found;
    },
  },
};

/** What a request to something that is not there yet hears. */
async function answer(method: string, path: string, body: object = {}): Promise<string> {
  const [route = '', search = ''] = path.split('?');
  const match = new Router(unsupportedRoutes(known)).find(method, route);
  assert.ok(match !== null, path);
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': String(text.length) };
  const call = {
    request: Object.assign(Readable.from([Buffer.from(text)]), { headers, method }),
    query: new URLSearchParams(search),
    param: (name: string) => match.params.get(name) ?? '',
    apiVersion: '1.51',
  } as unknown as Call;
  return await match.handler(call).then(() => '', errorMessage);
}

test('what is not there yet says first what is wrong with the request', async () => {
  const refused = (what: string): string => `${what} is not supported by this engine yet`;
  const cases: readonly (readonly [string, string, object, string])[] = [
    ['GET', '/containers/nope/stats', {}, 'No such container: nope'],
    ['GET', '/containers/c1/stats', {}, refused('resource statistics')],
    ['POST', '/networks/create', {}, 'invalid name: name is empty'],
    ['POST', '/networks/create', { Name: 'host' }, 'operation is not permitted on predefined host network '],
    ['POST', '/networks/create', { Name: 'n', Driver: 'x' }, 'plugin "x" not found'],
    ['POST', '/networks/create', { Name: 'n' }, refused('creating networks')],
    ['POST', '/networks/nope/connect', { Container: 'c1' }, 'network nope not found'],
    ['POST', '/networks/none/connect', { Container: 'nope' }, 'No such container: nope'],
    [
      'POST',
      '/networks/none/disconnect',
      { Container: 'c1' },
      'container abc is not connected to network none',
    ],
    [
      'POST',
      '/networks/bridge/disconnect',
      { Container: 'c1' },
      refused('disconnecting a container from a network'),
    ],
  ];
  for (const [method, path, body, want] of cases) assert.equal(await answer(method, path, body), want, path);
  assert.match(
    await answer('POST', '/networks/host/connect', { Container: 'c1' }),
    /^cannot connect container to host network/,
  );
});
