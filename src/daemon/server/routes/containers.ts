import { EngineError } from '#base/errors.ts';
import type { StopRequest } from '#container/container-service.ts';
import { parseFilters } from '#api/filters.ts';
import { badResize, bodyMissing } from '#api/messages.ts';
import { encodeFrame } from '#api/multiplex.ts';
import { parseTarget } from '#image/tag.ts';
import { parseDefaults } from '#oci/image-config.ts';
import type { ContainerBackend } from '../backends.ts';
import { hasBody } from '../body.ts';
import { atLeast, containerBody, type Call, type Route } from '../call.ts';
import { CREATED, OK } from '../http-status.ts';
import { queryFlag, queryInteger, queryText } from '../query.ts';
import { JSON_TYPE } from '../reply.ts';
import { streamType } from '../stream-type.ts';

export function containerRoutes(containers: ContainerBackend): readonly Route[] {
  const on = (verb: (backend: ContainerBackend, call: Call) => Promise<void>) => (call: Call) =>
    verb(containers, call);
  return [
    ['GET', '/containers/json', on(getContainersJson)],
    ['POST', '/containers/create', on(postContainersCreate)],
    ['POST', '/containers/prune', on(postContainersPrune)],
    ['GET', '/containers/{id}/json', on(getContainersByName)],
    ['GET', '/containers/{id}/logs', on(getContainersLogs)],
    ['GET', '/containers/{id}/top', on(getContainersTop)],
    ['POST', '/containers/{id}/attach', on(postContainersAttach)],
    ['POST', '/containers/{id}/kill', on(postContainersKill)],
    ['POST', '/containers/{id}/pause', on(postContainersPause)],
    ['POST', '/containers/{id}/unpause', on(postContainersUnpause)],
    ['POST', '/containers/{id}/rename', on(postContainersRename)],
    ['POST', '/containers/{id}/resize', on(postContainersResize)],
    ['POST', '/containers/{id}/restart', on(postContainersRestart)],
    ['POST', '/containers/{id}/start', on(postContainersStart)],
    ['POST', '/containers/{id}/stop', on(postContainersStop)],
    ['POST', '/containers/{id}/update', on(postContainersUpdate)],
    ['POST', '/containers/{id}/wait', on(postContainersWait)],
    ['GET', '/containers/{id}/changes', on(getContainersChanges)],
    ['GET', '/containers/{id}/export', on(getContainersExport)],
    ['POST', '/commit', on(postCommit)],
    ['DELETE', '/containers/{id}', on(deleteContainers)],
  ];
}

async function getContainersJson(containers: ContainerBackend, { query, reply }: Call): Promise<void> {
  const filters = parseFilters(query.get('filters'));
  const limit = queryInteger(query, 'limit') ?? 0;
  const list = await containers.list({
    all: queryFlag(query, 'all'),
    size: queryFlag(query, 'size'),
    limit,
    filters,
  });
  reply.json(OK, list);
}

async function postContainersCreate(containers: ContainerBackend, call: Call): Promise<void> {
  if (!hasBody(call.request)) throw new EngineError('invalidArgument', bodyMissing());
  const body = await containerBody(call);
  const platform = queryText(call.query, 'platform');
  const created = await containers.create({
    name: queryText(call.query, 'name'),
    body,
    platform: platform === '' ? null : platform,
    apiVersion: call.apiVersion,
  });
  call.reply.json(CREATED, created);
}

async function postContainersPrune(containers: ContainerBackend, { query, reply }: Call): Promise<void> {
  reply.json(OK, await containers.prune(parseFilters(query.get('filters'))));
}

async function getContainersByName(containers: ContainerBackend, call: Call): Promise<void> {
  const options = { size: queryFlag(call.query, 'size'), apiVersion: call.apiVersion };
  call.reply.json(OK, await containers.inspect(call.param('id'), options));
}

async function getContainersLogs(containers: ContainerBackend, call: Call): Promise<void> {
  const { query, reply, signal } = call;
  const session = await containers.logs(call.param('id'), {
    stdout: queryFlag(query, 'stdout'),
    stderr: queryFlag(query, 'stderr'),
    follow: queryFlag(query, 'follow'),
    timestamps: queryFlag(query, 'timestamps'),
    details: queryFlag(query, 'details'),
    tail: queryText(query, 'tail') || 'all',
    since: queryText(query, 'since'),
    until: queryText(query, 'until'),
  });
  reply.begin(streamType(call, session.tty));
  for await (const frame of session.frames(signal)) {
    await reply.write(session.tty ? frame.data : encodeFrame(frame));
    if (signal.aborted) return;
  }
  reply.end();
}

async function getContainersTop(containers: ContainerBackend, call: Call): Promise<void> {
  call.reply.json(OK, await containers.top(call.param('id'), queryText(call.query, 'ps_args') || '-ef'));
}

/** The connection is taken over first: errors travel on it as raw text, as in the reference. */
async function postContainersAttach(containers: ContainerBackend, call: Call): Promise<void> {
  const { query } = call;
  const stdin = queryFlag(query, 'stdin');
  const session = containers.attach(call.param('id'), {
    streams: { stdin, stdout: queryFlag(query, 'stdout'), stderr: queryFlag(query, 'stderr') },
    logs: queryFlag(query, 'logs'),
    stream: queryFlag(query, 'stream'),
    detachKeys: queryText(query, 'detachKeys'),
  });
  const ready = await session.catch((error: unknown) => ({ error }));
  const connection = call.hijack();
  if ('error' in ready) return connection.refuse(ready.error);
  connection.begin(streamType(call, ready.tty), !ready.tty);
  try {
    await ready.run(connection.client({ stdin: stdin && queryFlag(query, 'stream') }));
  } catch (error) {
    connection.fail(error);
  }
  connection.end();
}

async function postContainersKill(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.kill(call.param('id'), queryText(call.query, 'signal'));
  call.reply.empty();
}

async function postContainersPause(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.pause(call.param('id'));
  call.reply.empty();
}

async function postContainersUnpause(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.unpause(call.param('id'));
  call.reply.empty();
}

async function postContainersUpdate(containers: ContainerBackend, call: Call): Promise<void> {
  call.reply.json(OK, await containers.update(call.param('id'), await containerBody(call)));
}

async function postContainersRename(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.rename(call.param('id'), queryText(call.query, 'name'));
  call.reply.empty();
}

/** Both sides of a terminal, as resize requests give them. */
export function terminalSize(query: URLSearchParams): { readonly width: number; readonly height: number } {
  const side = (name: 'h' | 'w', word: 'height' | 'width'): number => {
    const text = queryText(query, name);
    if (!/^\d{1,9}$/.test(text)) throw new EngineError('invalidArgument', badResize(word, text));
    return Number(text);
  };
  const height = side('h', 'height');
  return { height, width: side('w', 'width') };
}

async function postContainersResize(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.resize(call.param('id'), terminalSize(call.query));
  call.reply.empty(OK);
}

function stopRequest({ query }: Call): StopRequest {
  const signal = queryText(query, 'signal');
  const timeoutSeconds = queryInteger(query, 't');
  return { ...(signal !== '' && { signal }), ...(timeoutSeconds !== undefined && { timeoutSeconds }) };
}

async function postContainersRestart(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.restart(call.param('id'), stopRequest(call));
  call.reply.empty();
}

async function postContainersStart(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.start(call.param('id'));
  call.reply.empty();
}

async function postContainersStop(containers: ContainerBackend, call: Call): Promise<void> {
  await containers.stop(call.param('id'), stopRequest(call));
  call.reply.empty();
}

/**
 * The headers say that the wait is set up, so that a client may then start the container; the body follows.
 */
async function postContainersWait(containers: ContainerBackend, call: Call): Promise<void> {
  const { reply, signal } = call;
  const condition = atLeast(call, '1.30') ? queryText(call.query, 'condition') : '';
  const { reply: result } = await containers.wait(call.param('id'), condition, signal);
  if (!atLeast(call, '1.30')) return reply.json(OK, await result);
  reply.begin(JSON_TYPE);
  const answer = await result;
  if (signal.aborted) return;
  await reply.write(`${JSON.stringify(answer)}\n`);
  reply.end();
}

async function deleteContainers(containers: ContainerBackend, call: Call): Promise<void> {
  const { query } = call;
  const options = {
    force: queryFlag(query, 'force'),
    volumes: queryFlag(query, 'v'),
    link: queryFlag(query, 'link'),
  };
  await containers.remove(call.param('id'), options);
  call.reply.empty();
}

async function getContainersChanges(containers: ContainerBackend, call: Call): Promise<void> {
  await sendStream(call, { type: JSON_TYPE, chunks: await containers.changes(call.param('id')) });
}

async function getContainersExport(containers: ContainerBackend, call: Call): Promise<void> {
  const chunks = await containers.export(call.param('id'));
  await sendStream(call, { type: 'application/octet-stream', chunks });
}

/**
 * What goes wrong after the first chunk cuts the connection, so that nobody takes half for the whole. A
 * client that leaves ends the reading.
 */
async function sendStream(
  { reply, signal }: Call,
  of: { readonly type: string; readonly chunks: AsyncGenerator<Buffer> },
): Promise<void> {
  for await (const chunk of of.chunks) {
    if (signal.aborted) return;
    if (!reply.isStarted) reply.begin(of.type);
    await reply.write(chunk);
  }
  reply.end();
}

async function postCommit(containers: ContainerBackend, call: Call): Promise<void> {
  const { query } = call;
  const repo = queryText(query, 'repo');
  const target = repo === '' ? null : parseTarget(repo, queryText(query, 'tag'));
  const body = await containerBody(call);
  const id = await containers.commit(queryText(query, 'container'), {
    target,
    defaults: body === null || Object.keys(body).length === 0 ? null : parseDefaults(body),
    changes: query.getAll('changes'),
    author: queryText(query, 'author'),
    comment: queryText(query, 'comment'),
    pause: queryText(query, 'pause') === '' || queryFlag(query, 'pause'),
  });
  call.reply.json(CREATED, { Id: id });
}
