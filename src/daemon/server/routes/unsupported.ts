import { EngineError } from '#base/errors.ts';
import { notExperimental, notSwarmNode } from '#api/messages.ts';
import type { Handler, Route } from '../call.ts';

/** Operations of the API that are known and not there yet: a clear answer instead of "page not found". */
const NOT_YET: readonly (readonly [string, string, string])[] = [
  ['HEAD', '/containers/{id}/archive', 'copying files'],
  ['GET', '/containers/{id}/archive', 'copying files out of a container'],
  ['PUT', '/containers/{id}/archive', 'copying files into a container'],
  ['GET', '/containers/{id}/attach/ws', 'attaching by WebSocket'],
  ['GET', '/containers/{id}/changes', 'listing the changes of a container'],
  ['GET', '/containers/{id}/export', 'exporting a container'],
  ['GET', '/containers/{id}/stats', 'resource statistics'],
  ['POST', '/containers/{id}/update', 'updating a container'],
  ['POST', '/commit', 'committing a container'],
  ['POST', '/build', 'building images'],
  ['POST', '/build/prune', 'building images'],
  ['POST', '/build/cancel', 'building images'],
  ['POST', '/session', 'building images'],
  ['POST', '/grpc', 'building images'],
  ['POST', '/auth', 'logging in to a registry'],
  ['GET', '/images/search', 'searching a registry'],
  ['POST', '/images/{name...}/push', 'pushing to a registry'],
  ['GET', '/distribution/{name...}/json', 'asking a registry'],
  ['POST', '/networks/create', 'creating networks'],
  ['POST', '/networks/prune', 'pruning networks'],
  ['POST', '/networks/{id}/connect', 'connecting a container to a network'],
  ['POST', '/networks/{id}/disconnect', 'disconnecting a container from a network'],
  ['POST', '/volumes/prune', 'pruning volumes'],
  ['PUT', '/volumes/{name}', 'cluster volumes'],
  ['GET', '/plugins', 'plugins'],
  ['GET', '/plugins/privileges', 'plugins'],
  ['GET', '/plugins/{name...}/json', 'plugins'],
  ['POST', '/plugins/{name...}', 'plugins'],
  ['DELETE', '/plugins/{name...}', 'plugins'],
];

const SWARM: readonly string[] = ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs'];

function refuse(message: string, kind: 'notImplemented' | 'unavailable' = 'notImplemented'): Handler {
  return async () => {
    throw new EngineError(kind, message);
  };
}

export function unsupportedRoutes(): readonly Route[] {
  const notYet = NOT_YET.map(
    ([method, pattern, what]): Route => [
      method,
      pattern,
      refuse(`${what} is not supported by this engine yet`),
    ],
  );
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
  return [...notYet, ...swarm, ...checkpoints];
}
