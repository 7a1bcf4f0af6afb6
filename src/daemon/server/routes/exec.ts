import { isEngineError } from '#base/errors.ts';
import type { ExecStartRequest, StreamSession } from '#container/container-service.ts';
import type { JsonObject } from '#base/json.ts';
import type { ExecBackend } from '../backends.ts';
import { containerBody, type Call, type Route } from '../call.ts';
import { CREATED, OK } from '../http-status.ts';
import { streamType } from '../stream-type.ts';
import { terminalSize } from './containers.ts';

export function execRoutes(execs: ExecBackend): readonly Route[] {
  return [
    [
      'POST',
      '/containers/{id}/exec',
      async (call) => {
        call.reply.json(CREATED, { Id: await execId(execs, call) });
      },
    ],
    [
      'GET',
      '/exec/{id}/json',
      async ({ param, reply }) => reply.json(OK, await execs.execInspect(param('id'))),
    ],
    ['POST', '/exec/{id}/start', (call) => postContainerExecStart(execs, call)],
    [
      'POST',
      '/exec/{id}/resize',
      async (call) => {
        await execs.execResize(call.param('id'), terminalSize(call.query));
        call.reply.empty(OK);
      },
    ],
  ];
}

async function execId(execs: ExecBackend, call: Call): Promise<string> {
  return (await execs.execCreate(call.param('id'), await containerBody(call))).Id;
}

function startRequest(body: JsonObject | null): ExecStartRequest {
  const size = body?.['ConsoleSize'];
  const [height, width] = Array.isArray(size) ? size : [];
  return {
    detach: body?.['Detach'] === true,
    tty: body?.['Tty'] === true,
    consoleSize: typeof height === 'number' && typeof width === 'number' ? { height, width } : null,
  };
}

/**
 * An unknown exec is refused in HTTP; anything else that goes wrong with an attached one, a missing program
 * among it, comes after the upgrade as output, as clients expect, who then ask for the exit code.
 */
async function postContainerExecStart(execs: ExecBackend, call: Call): Promise<void> {
  const id = call.param('id');
  const request = startRequest(await containerBody(call));
  const started = await execs.execStart(id, request).catch((error: unknown) => {
    if (request.detach || isEngineError(error, 'notFound')) throw error;
    return { error };
  });
  if (started === null) return call.reply.empty(OK);
  const tty = 'error' in started ? request.tty : started.tty;
  const connection = call.hijack();
  connection.begin(streamType(call, tty), !tty);
  if ('error' in started) connection.fail(started.error);
  else await run(started, connection);
  connection.end();
}

async function run(session: StreamSession, connection: ReturnType<Call['hijack']>): Promise<void> {
  try {
    await session.run(connection.client({ stdin: true }));
  } catch (error) {
    connection.fail(error);
  }
}
