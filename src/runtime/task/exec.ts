import { readFileSync } from 'node:fs';
import { EngineError, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { EXEC_FLAG, FIELD, Fields, type FieldValue, FRAME } from '../shim/protocol.ts';
import type { ExecRequest } from '../task.ts';
import { bounded } from './bounded.ts';
import type { TaskContext } from './context.ts';
import { type LiveTask, processOf } from './live-task.ts';
import type { ExecWork, StartCall, Starter } from './starter.ts';
import { starterOf } from './starters.ts';

/** Of the kernel's flags of a process. */
const PF_EXITING = 0x4;

/** A further process in a running task, started the way the task was. */
export async function execInTask(
  context: TaskContext,
  task: LiveTask,
  request: ExecRequest,
): Promise<{ pid: number }> {
  const starter = starterOf(context, task.meta.runtime);
  refuseOldShim(task, starter);
  const work = { task, request };
  const { execId } = request;
  task.execs.set(execId, { execId, pid: 0 });
  try {
    let answer = await ask(context, await starter.exec(work), { starter, work });
    const again = answer.hasStarted ? null : await starter.execAgain(answer.fields, work);
    if (again !== null) answer = await ask(context, again, { starter, work });
    if (!answer.hasStarted) {
      const failure = await starter.execFailure(answer.fields, work);
      throw isGone(context, task) ? notRunning(task, failure) : failure;
    }
    const { pid } = processOf(answer.fields);
    task.execs.set(execId, { execId, pid });
    return { pid };
  } catch (error) {
    task.execs.delete(execId);
    throw error;
  } finally {
    starter.execDone(work);
  }
}

/** It lives as long as its container, and would refuse what it does not know in words of its own. */
function refuseOldShim({ id, shimVersion }: LiveTask, { shimVersion: needed }: Starter): void {
  if (shimVersion >= needed) return;
  const why = `its shim speaks version ${shimVersion}, too old for this daemon`;
  throw new EngineError('conflict', `no exec in container ${id} before its next start: ${why}`);
}

/**
 * Whether an exec failed because the first process is about to be gone, before its exit is known here: on its
 * way out it leaves its namespaces and ends everybody in them when it can still be seen.
 */
function isGone({ kernel }: TaskContext, { process }: LiveTask): boolean {
  return !kernel.processes.alive(process) || isEnding(process.pid);
}

function isEnding(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // After the name, which may hold anything: state, five numbers, flags.
    const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
    return (flags & PF_EXITING) !== 0;
  } catch {
    return true;
  }
}

function notRunning({ id }: LiveTask, cause: unknown): EngineError {
  return new EngineError('conflict', `container ${id} is not running`, { cause });
}

interface Asking {
  readonly starter: Starter;
  readonly work: ExecWork;
}

async function ask(
  context: TaskContext,
  call: StartCall,
  { starter, work }: Asking,
): Promise<{ hasStarted: boolean; fields: Fields }> {
  const { task, request } = work;
  const frames = await bounded(task.control.request(FRAME.exec, execFields(request, call)), {
    limitMs: context.startLimitMs ?? LIMITS.taskStartMs,
    late: `OCI runtime exec failed: ${starter.name} has not finished in time: context deadline exceeded`,
  }).catch((error: unknown) => giveUp(error, { starter, work }));
  const last = frames.at(-1);
  return { hasStarted: last?.type === FRAME.started, fields: new Fields(last?.payload ?? Buffer.alloc(0)) };
}

function execFields(request: ExecRequest, call: StartCall): [number, FieldValue][] {
  const { consoleSize } = request;
  // A terminal exists even if nobody is attached to it: then its output is dropped.
  const flags =
    (request.stdin ? EXEC_FLAG.stdinOpen : 0) |
    (request.detach && !request.terminal ? EXEC_FLAG.noStreams : 0) |
    call.flags;
  return [
    ...call.fields.map(([field, value]): [number, FieldValue] => [field, value]),
    [FIELD.execId, request.execId],
    [FIELD.flags, flags],
    [FIELD.width, consoleSize?.width],
    [FIELD.height, consoleSize?.height],
  ];
}

async function giveUp(error: unknown, { starter, work }: Asking): Promise<never> {
  if (isEngineError(error, 'internal')) await starter.cancelExec(work);
  // The task ended before the exec: the shim knows no such process, or is gone itself.
  const gone = isEngineError(error, 'notFound') || isEngineError(error, 'unavailable');
  throw gone ? notRunning(work.task, error) : error;
}
