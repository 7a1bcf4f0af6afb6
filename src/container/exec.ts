import { closeSync, openSync } from 'node:fs';
import * as messages from '#api/messages.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import { newExecId, type ExecId } from '#base/ids.ts';
import type { JsonObject } from '#base/json.ts';
import { buildExecProcess } from '#runtime/spec.ts';
import type { AttachStream, ExecRequest } from '#runtime/task.ts';
import type { ResolvedUser } from '#runtime/user.ts';
import { copyStreams, type StreamClient } from './attach/copy.ts';
import { parseDetachKeys } from './attach/detach-keys.ts';
import type { ExecStartRequest, StreamSession } from './container-service.ts';
import type { Exec, ExecConfig } from './exec/exec-model.ts';
import { Fields } from './normalize/fields.ts';
import type { TerminalSize } from './ports.ts';
import type { Entry } from './record/ledger.ts';
import { tell, type Room } from './room.ts';
import { classifyStartFailure } from './start/failure.ts';
import { specInput } from './start/spec-input.ts';
import { lookUpUser } from './start/findings.ts';
import { transition } from './state.ts';

function parseBody(body: JsonObject | null): ExecConfig {
  const fields = new Fields(body ?? {});
  const command = fields.words('Cmd') ?? [];
  if (command.length === 0) throw new EngineError('invalidArgument', messages.noExecCommand());
  const detachKeys = fields.text('DetachKeys');
  if (parseDetachKeys(detachKeys) === null)
    throw new EngineError('invalidArgument', messages.invalidEscapeKeys(detachKeys));
  const size = fields.raw('ConsoleSize');
  const [height, width] = Array.isArray(size) ? size : [];
  return {
    tty: fields.flag('Tty'),
    attach: {
      stdin: fields.flag('AttachStdin'),
      stdout: fields.flag('AttachStdout'),
      stderr: fields.flag('AttachStderr'),
    },
    detachKeys,
    command,
    env: (fields.texts('Env') ?? []).filter(
      (entry) => entry !== '' && !entry.startsWith('=') && !entry.includes('\0'),
    ),
    user: fields.text('User'),
    workingDir: fields.text('WorkingDir'),
    privileged: fields.flag('Privileged'),
    consoleSize:
      typeof height === 'number' && typeof width === 'number' && height > 0 && width > 0
        ? { height, width }
        : null,
  };
}

function tellExec(room: Room, entry: Entry, fact: { exec: Exec; action: string }): void {
  const { exec, action } = fact;
  tell(room, entry, {
    action: `${action}: ${exec.config.command[0]} ${exec.config.command.slice(1).join(' ')}`,
    attributes: { execID: exec.id },
  });
}

/** Errors: `notFound`, `conflict` when the container does not run or is paused. */
export async function createExec(
  room: Room,
  reference: string,
  body: JsonObject | null,
): Promise<{ readonly Id: ExecId }> {
  const entry = room.ledger.find(reference);
  transition(entry.record, 'exec');
  const config = parseBody(body);
  // A named one already now, so that an unknown user is an error of the request.
  const user = config.user === '' ? null : await execUser(room, entry, config.user);
  const exec = await room.execs.add({ id: newExecId(), containerId: entry.record.id, config, user });
  tellExec(room, entry, { exec, action: 'exec_create' });
  return { Id: exec.id };
}

/**
 * Looked up in the running container's own tree, entered by the magic link of its first process and never
 * left again.
 */
async function execUser(room: Room, entry: Entry, user: string): Promise<ResolvedUser> {
  const { record } = entry;
  // What has ended has no root. The link leads there at once, it is no path to look up.
  let root: number;
  try {
    root = openSync(`/proc/${record.state.pid}/root`, 'r');
  } catch (error) {
    throw new EngineError('conflict', messages.containerNotRunning(record.id), { cause: error });
  }
  try {
    if (room.deps.tasks.get(record.id)?.pid !== record.state.pid)
      throw new EngineError('conflict', messages.containerNotRunning(record.id));
    return await lookUpUser(room.deps.tree, root, {
      user: user || record.config.User,
      groupAdd: record.hostConfig.GroupAdd ?? [],
    });
  } finally {
    closeSync(root);
  }
}

function execRequest(
  room: Room,
  entry: Entry,
  wish: { exec: Exec; user: ResolvedUser; consoleSize: TerminalSize | null; detach: boolean },
): ExecRequest {
  const { exec, user } = wish;
  const { config } = exec;
  const { record } = entry;
  const size = wish.consoleSize ?? config.consoleSize;
  const input = specInput(
    record,
    {
      user,
      devices: { nodes: [], rules: [] },
      resources: {
        ulimits: (record.hostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({
          name: Name,
          soft: Soft,
          hard: Hard,
        })),
      },
      joinedIds: { network: null, pid: null, ipc: null },
      networkFiles: [],
    },
    { facts: room.deps.facts, settings: room.deps.settings },
  );
  const process = buildExecProcess(input, {
    args: config.command,
    env: config.env,
    cwd: config.workingDir,
    user,
    terminal: config.tty,
    ...(size !== null && { consoleSize: size }),
    privileged: config.privileged,
  });
  return {
    execId: exec.id,
    process,
    home: user.home,
    terminal: config.tty,
    ...(size !== null && { consoleSize: size }),
    stdin: config.attach.stdin && !wish.detach,
    detach: wish.detach,
  };
}

/**
 * Null when detached: the process runs. Errors: `notFound`, `conflict`; detached also what kept it from
 * starting.
 */
export async function startExec(
  room: Room,
  execId: string,
  request: ExecStartRequest,
): Promise<StreamSession | null> {
  const exec = room.execs.get(execId);
  if (exec.started) {
    const text = exec.running ? messages.execAlreadyRunning(exec.id) : messages.execAlreadyRun(exec.id);
    throw new EngineError('conflict', text);
  }
  const entry = room.ledger.byId(exec.containerId);
  if (entry === undefined) throw new EngineError('notFound', messages.noSuchExec(execId));
  transition(entry.record, 'exec');
  exec.started = true;
  const { consoleSize, detach } = request;
  const wishing = Promise.resolve(exec.user ?? execUser(room, entry, '')).then((user) =>
    execRequest(room, entry, { exec, user, consoleSize, detach }),
  );
  wishing.catch(() => undefined);
  if (detach) {
    const failure = await launchExec(room, entry, { exec, wishing });
    if (failure !== null) throw failure;
    return null;
  }
  return { tty: exec.config.tty, run: (client) => runAttached(room, entry, { exec, wishing, client }) };
}

/** Null, or why it could not start; the exec's exit code says so, too. */
async function launchExec(
  room: Room,
  entry: Entry,
  parts: { exec: Exec; wishing: Promise<ExecRequest> },
): Promise<EngineError | null> {
  const { exec, wishing } = parts;
  exec.running = true;
  tellExec(room, entry, { exec, action: 'exec_start' });
  try {
    const { pid } = await room.deps.tasks.exec(entry.record.id, await wishing);
    exec.pid = pid;
    return null;
  } catch (error) {
    const { id } = entry.record;
    const { exitCode, error: failure } = classifyStartFailure(error);
    const failedWith = exitCode === 128 ? 126 : exitCode;
    room.execs.end(exec, failedWith);
    // It ended meanwhile: that is why, whatever the runtime made of it.
    if (room.deps.tasks.get(id) === undefined)
      return new EngineError('conflict', messages.containerNotRunning(id), { cause: error });
    await room.execs.files.save({ ...exec, failedWith });
    return failure;
  }
}

async function runAttached(
  room: Room,
  entry: Entry,
  parts: { exec: Exec; wishing: Promise<ExecRequest>; client: StreamClient },
): Promise<void> {
  const { exec, wishing, client } = parts;
  let stream: AttachStream;
  try {
    // Before the process starts, so that no byte is missed.
    stream = await room.deps.tasks.attach(entry.record.id, exec.id, exec.config.attach);
  } catch (error) {
    room.execs.end(exec, 126);
    await client.write({ stream: 'stdout', data: Buffer.from(`${errorMessage(error)}\r\n`) });
    return;
  }
  const failure = await launchExec(room, entry, { exec, wishing });
  if (failure !== null) {
    stream.detach();
    await client.write({ stream: 'stdout', data: Buffer.from(`${failure.message}\r\n`) });
    return;
  }
  const keys = exec.config.tty ? parseDetachKeys(exec.config.detachKeys) : null;
  // The client asks for the exit code as soon as the stream ends.
  if ((await copyStreams(stream, client, keys)) === 'ended') await exec.ended;
}

export async function inspectExec(room: Pick<Room, 'execs'>, execId: string): Promise<JsonObject> {
  const exec = room.execs.get(execId);
  const { config } = exec;
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: config.tty,
      entrypoint: config.command[0] ?? '',
      arguments: config.command.slice(1),
      privileged: config.privileged,
      ...(config.user !== '' && { user: config.user }),
    },
    OpenStdin: config.attach.stdin,
    OpenStderr: config.attach.stderr,
    OpenStdout: config.attach.stdout,
    CanRemove: false,
    ContainerID: exec.containerId,
    DetachKeys: '',
    Pid: exec.pid,
  };
}

/** Errors: `notFound` when its process does not exist. */
export async function resizeExec(
  room: Pick<Room, 'execs' | 'deps'>,
  execId: string,
  size: TerminalSize,
): Promise<void> {
  const exec = room.execs.get(execId);
  if (!exec.running) throw new EngineError('notFound', messages.execNoProcess(exec.id));
  await room.deps.tasks.resize(exec.containerId, exec.id, size);
}
