import { EngineError } from '#base/errors.ts';
import { noClusterVolumes, notExperimental, noSuchPlugin, notInSwarm, notSwarmNode } from '#api/messages.ts';
import type { Call, Handler, Route } from '../call.ts';
import {
  checkContainer,
  checkNetworkConnect,
  checkNetworkCreate,
  checkNetworkDisconnect,
  type Known,
  type RefusalCheck,
} from './refusal-checks.ts';

/** Operations of the API that are known and not there yet: a clear answer instead of "page not found". */
type NotYet = readonly [method: string, pattern: string, what: string, check?: RefusalCheck];
const NOT_YET: readonly NotYet[] = [
  ['HEAD', '/containers/{id}/archive', 'copying files', checkContainer],
  ['GET', '/containers/{id}/archive', 'copying files out of a container', checkContainer],
  ['PUT', '/containers/{id}/archive', 'copying files into a container', checkContainer],
  ['GET', '/containers/{id}/attach/ws', 'attaching by WebSocket', checkContainer],
  ['GET', '/containers/{id}/stats', 'resource statistics', checkContainer],
  ['POST', '/build', 'building images'],
  ['POST', '/build/prune', 'building images'],
  ['POST', '/build/cancel', 'building images'],
  ['POST', '/session', 'building images'],
  ['POST', '/grpc', 'building images'],
  ['POST', '/networks/create', 'creating networks', checkNetworkCreate],
  ['POST', '/networks/{id}/connect', 'connecting a container to a network', checkNetworkConnect],
  ['POST', '/networks/{id}/disconnect', 'disconnecting a container from a network', checkNetworkDisconnect],
  ['POST', '/networks/prune', 'pruning networks'],
  ['GET', '/plugins', 'plugins'],
  ['GET', '/plugins/privileges', 'plugins'],
  ['GET', '/plugins/{name...}/json', 'plugins', refuseUnknownPlugin],
  ['POST', '/plugins/{name...}', 'plugins'],
  ['DELETE', '/plugins/{name...}', 'plugins', refuseUnknownPlugin],
];

const SWARM: readonly string[] = ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs'];

/** There are none, so nobody can mean one. */
async function refuseUnknownPlugin(_known: Known, { param }: Call): Promise<void> {
  throw new EngineError('notFound', noSuchPlugin(param('name')));
}

function refuse(message: string, kind: 'notImplemented' | 'unavailable' = 'notImplemented'): Handler {
  return async () => {
    throw new EngineError(kind, message);
  };
}

function refuseNotYet([, , what, check]: NotYet, known: Known | null): Handler {
  return async (call) => {
    if (known !== null && check !== undefined) await check(known, call);
    throw new EngineError('notImplemented', `${what} is not supported by this engine yet`);
  };
}

/** `known` null: requests are not looked at, every one gets the refusal. */
export function unsupportedRoutes(known: Known | null): readonly Route[] {
  const missing = NOT_YET.map((entry): Route => [entry[0], entry[1], refuseNotYet(entry, known)]);
  const swarm = ['GET', 'POST', 'DELETE'].flatMap((method) =>
    SWARM.flatMap((path): Route[] => [
      [method, path, refuse(notSwarmNode(), 'unavailable')],
      [method, `${path}/{rest...}`, refuse(notSwarmNode(), 'unavailable')],
    ]),
  );
  const checkpoints = ['GET', 'POST', 'DELETE'].flatMap((method): Route[] => [
    [method, '/containers/{id}/checkpoints', refuse(notExperimental())],
    [method, '/containers/{id}/checkpoints/{name}', refuse(notExperimental())],
  ]);
  return [
    ...missing,

    ['POST', '/swarm/leave', refuse(notInSwarm(), 'unavailable')],
    ['PUT', '/volumes/{name}', refuse(noClusterVolumes(), 'unavailable')],
    ...swarm,
    ...checkpoints,
  ];
}
