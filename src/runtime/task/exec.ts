import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { deniedCommand, execFailure } from '../runc/errors.ts';
import { writeJson } from '../shim/files.ts';
import { EXEC_FLAG, FIELD, Fields, FRAME } from '../shim/protocol.ts';
import type { ExecRequest } from '../task.ts';
import { bounded } from './bounded.ts';
import type { TaskContext } from './context.ts';
import { failureOf, isDirectory, sized } from './launch.ts';
import { type LiveTask, processOf } from './live-task.ts';
import { killRuntimeCall } from './stragglers.ts';

/** Long enough to be unique within a task, short enough for a socket's path. */
const STEM_LENGTH = 32;

interface ExecFiles {
  readonly processFile: string;
  readonly pidFile: string;
  readonly log: string;
  readonly consoleSocket: string;
}

function filesOf(execId: string): ExecFiles {
  const stem = `x${execId.slice(0, STEM_LENGTH)}`;
  return {
    processFile: `${stem}.json`,
    pidFile: `${stem}.pid`,
    log: `${stem}.log`,
    consoleSocket: `${stem}.sock`,
  };
}

/** A further process in a running task. Its files go when the OCI runtime has done its part. */
export async function execInTask(
  context: TaskContext,
  task: LiveTask,
  request: ExecRequest,
): Promise<{ pid: number }> {
  const runtime = context.runtimes.get(task.meta.runtime);
  const files = filesOf(request.execId);
  const { terminal, consoleSize } = request;
  const root = join(context.execRoot, 'runtimes', runtime.name);
  const { consoleSocket, ...plain } = files;
  const call = { root, id: task.id, ...plain };
  await writeJson(join(task.directory, files.processFile), sized(request.process, request));
  task.execs.set(request.execId, { execId: request.execId, pid: 0 });
  try {
    const work = task.control.request(FRAME.exec, [
      [FIELD.execId, request.execId],
      [FIELD.argv, runtime.execArgv(terminal ? { ...call, consoleSocket } : call)],
      [FIELD.pidFile, files.pidFile],
      [FIELD.runtimeLog, files.log],
      [FIELD.consoleSocket, terminal ? consoleSocket : undefined],
      // A terminal exists even if nobody is attached to it: then its output is dropped.
      [
        FIELD.flags,
        (request.stdin ? EXEC_FLAG.stdinOpen : 0) | (request.detach && !terminal ? EXEC_FLAG.noStreams : 0),
      ],
      [FIELD.width, consoleSize?.width],
      [FIELD.height, consoleSize?.height],
    ]);
    const frames = await bounded(work, {
      limitMs: context.startLimitMs ?? LIMITS.taskStartMs,
      late: `OCI runtime exec failed: ${runtime.name} has not finished in time: context deadline exceeded`,
    }).catch((error: unknown) => giveUp(context, task, { error, processFile: files.processFile }));
    const last = frames.at(-1);
    const fields = new Fields(last?.payload ?? Buffer.alloc(0));
    if (last?.type !== FRAME.started) {
      const command = request.process.args[0] ?? '';
      const failure = failureOf(fields, runtime.path);
      const denied = deniedCommand(failure);
      const directory = denied !== null && (await inContainer(context, task, denied));
      throw execFailure(failure, command, () => directory);
    }
    const { pid } = processOf(fields);
    task.execs.set(request.execId, { execId: request.execId, pid });
    return { pid };
  } catch (error) {
    task.execs.delete(request.execId);
    throw error;
  } finally {
    void removeFiles(task, files);
  }
}

/** An OCI runtime that hangs in the container's tree would stay until the container ends. */
async function giveUp(
  context: TaskContext,
  task: LiveTask,
  { error, processFile }: { error: unknown; processFile: string },
): Promise<never> {
  const { directory, meta } = task;
  if (isEngineError(error, 'internal'))
    await killRuntimeCall(context, { directory, cgroupPath: meta.cgroupPath }, processFile);
  // The task ended before the exec: the shim knows no such process, or is gone itself.
  const gone = isEngineError(error, 'notFound') || isEngineError(error, 'unavailable');
  throw gone ? new EngineError('conflict', `container ${task.id} is not running`, { cause: error }) : error;
}

async function removeFiles(task: LiveTask, files: ExecFiles): Promise<void> {
  const names = [files.processFile, files.pidFile, files.log];
  await Promise.allSettled(names.map((name) => rm(join(task.directory, name), { force: true })));
}

async function inContainer(context: TaskContext, task: LiveTask, path: string): Promise<boolean> {
  try {
    await using root = await open(`/proc/${task.process.pid}/root`, 'r');
    // The root was opened by number: it counts only if the number still means this process.
    return context.kernel.processes.alive(task.process) && (await isDirectory(context, root.fd, path));
  } catch {
    return false;
  }
}
